"""The Autobahn cases for WebSocket, run by kosoku against an echo server behind the mesh.

    websocket_cases.py serve          echoes on $PORT, as an application beside a sidecar
    websocket_cases.py call ADDRESS   groups 1-7 and 10, through the port at ADDRESS

A failed case that is not the echo server's own ends with exit code 1.
"""

import asyncio
import logging
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
CASES = 247
# What the echo server does wrong without anything between: a reserved close code.
ORIGINS_OWN = {"7.1.5"}


async def serve():
    from websockets.asyncio.server import serve as listen

    # Most cases break the protocol on purpose.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async with listen(echo, "127.0.0.1", int(os.environ["PORT"]), max_size=None):
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        await ended.wait()


def call(address):
    runner = Path(sys.executable).with_name("kosoku")
    with tempfile.TemporaryDirectory() as reports:
        groups = [word for group in GROUPS for word in ("-i", group)]
        ran = subprocess.run([runner, *groups, "-o", reports, address], capture_output=True, text=True)
    print(ran.stdout, ran.stderr)
    assert f"reports for {CASES} cases" in ran.stdout, "not all cases were run"
    failed = set(re.findall(r"^  (\d+(?:\.\d+)+): ", ran.stdout, re.MULTILINE))
    assert failed <= ORIGINS_OWN, f"failed through the mesh: {sorted(failed - ORIGINS_OWN)}"


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve())
    else:
        call(sys.argv[2])
