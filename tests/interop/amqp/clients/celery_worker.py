"""Celery with real workers: results by rpc, a group, a chain, a retry with an ETA, remote control over a fan-out, and a
worker that is killed at its task, which another then does.

Usage: celery_worker.py --amqp HOST:PORT; ends with 0 and a line `ok`.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import where

options = where.options(__doc__)
os.environ["AMQP_URL"] = options.url
HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

from celery import chain, group  # noqa: E402  the application reads its broker from the environment

import celery_tasks  # noqa: E402

WORKERS = []


def worker(name, log, *more):
    command = [sys.executable, "-m", "celery", "-A", "celery_tasks", "worker", "-n", f"{name}@interop", "-c", "1", "-l", "INFO"]
    process = subprocess.Popen(
        command + ["--without-mingle", *more], cwd=HERE, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    WORKERS.append(process)
    return process


def end(process):
    """The worker and its pool: the session that was made for them."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def until(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.2)


def drive(folder, log):
    first = worker("first", log)
    control = celery_tasks.app.control
    until("a worker answers", lambda: control.ping(timeout=1))
    assert celery_tasks.add.delay(2, 3).get(timeout=30) == 5
    assert group(celery_tasks.add.s(at, at) for at in range(200))().get(timeout=60) == [2 * at for at in range(200)]
    assert chain(celery_tasks.add.s(1, 2), celery_tasks.add.s(4), celery_tasks.add.s(8))().get(timeout=30) == 15
    assert celery_tasks.flaky.delay().get(timeout=30) == 2
    assert celery_tasks.add.apply_async((1, 1), countdown=0.5).get(timeout=30) == 2
    # Everybody hears a broadcast, and each answers.
    worker("second", log)
    until("two workers answer", lambda: len(control.ping(timeout=1)) == 2)
    assert set(control.inspect(timeout=2).stats()) == {"first@interop", "second@interop"}
    control.broadcast("shutdown", destination=["second@interop"])
    until("it shuts down", lambda: WORKERS[1].poll() is not None)
    # Killed at its task.
    marker = folder / "slow"
    result = celery_tasks.slow.delay(str(marker))
    until("the task runs", marker.exists)
    end(first)
    worker("third", log)
    assert result.get(timeout=60) == 2
    assert celery_tasks.app.control.purge() == 0


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder)
    with open(path / "workers.log", "w", encoding="utf-8") as log:
        try:
            drive(path, log)
        except BaseException:
            print((path / "workers.log").read_text(encoding="utf-8")[-6000:], file=sys.stderr)
            raise
        finally:
            for process in WORKERS:
                end(process)
print("ok")
