"""Runs the six tutorials as their readers do, several terminals at once, and checks what each prints.

Usage: run.py --amqp HOST:PORT [--management HOST:PORT] [--only NAME]; ends with 0 and a line `ok`.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
WAIT_S = 20.0
TERMINALS = []


class Terminal:
    """A script that runs, and the lines that it has printed."""

    def __init__(self, script, *arguments):
        self.lines = []
        self.process = subprocess.Popen(
            [sys.executable, HERE / script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        TERMINALS.append(self)

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def shows(self, *wanted, seconds=WAIT_S):
        deadline = time.monotonic() + seconds
        while not all(any(one in line for line in self.lines) for one in wanted):
            assert time.monotonic() < deadline, f"{self.process.args[1]}: not {wanted} but {self.lines}"
            time.sleep(0.02)
        return self

    def shows_never(self, *unwanted):
        assert not any(one in line for one in unwanted for line in self.lines), self.lines

    def ends(self):
        assert self.process.wait(WAIT_S) == 0, self.lines
        self.reader.join(WAIT_S)
        return self

    def stop(self, number=signal.SIGINT):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(WAIT_S)


def listening(script, *arguments):
    return Terminal(script, *arguments).shows("ait")


def hello():
    Terminal("send.py").ends().shows(" [x] Sent 'Hello World!'")
    receiver = listening("receive.py").shows(" [x] Received Hello World!")
    Terminal("send.py").ends()
    deadline = time.monotonic() + WAIT_S
    while receiver.lines.count(" [x] Received Hello World!") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert receiver.lines.count(" [x] Received Hello World!") == 2, receiver.lines


def work_queues():
    one, two = listening("worker.py"), listening("worker.py")
    tasks = [f"task {at} {'.' * at}" for at in range(1, 7)]
    for task in tasks:
        Terminal("new_task.py", task).ends()
    deadline = time.monotonic() + WAIT_S
    while sum("Done" in line for line in one.lines + two.lines) < len(tasks):
        assert time.monotonic() < deadline, (one.lines, two.lines)
        time.sleep(0.02)
    done = sorted(line for line in one.lines + two.lines if "Done" in line)
    assert done == sorted(f" [x] Done {task}" for task in tasks), done
    assert all(any("Done" in line for line in worker.lines) for worker in (one, two)), "one worker had all the work"
    # A worker that is killed at its task leaves it to the other.
    task = "long one " + "." * 30
    Terminal("new_task.py", task).ends()
    while not any(task in line for line in one.lines + two.lines):
        time.sleep(0.02)
    dies, lives = (one, two) if any(task in line for line in one.lines) else (two, one)
    dies.stop(signal.SIGKILL)
    lives.shows(f" [x] Done {task}")


def publish_subscribe():
    Terminal("emit_log.py", "nobody listens").ends()
    listeners = [listening("receive_logs.py") for _ in range(2)]
    Terminal("emit_log.py", "info: this is a log").ends()
    for listener in listeners:
        listener.shows(" [x] info: this is a log").shows_never("nobody listens")


def routing():
    errors, all_of_them = listening("receive_logs_direct.py", "error"), listening("receive_logs_direct.py", "info", "warning", "error")
    for severity in ("info", "warning", "error", "debug"):
        Terminal("emit_log_direct.py", severity, f"a line of {severity}").ends()
    all_of_them.shows("info:a line of info", "warning:a line of warning", "error:a line of error").shows_never("debug")
    errors.shows("error:a line of error").shows_never("info", "warning", "debug")


def topics():
    everything, kernel, critical, both = (
        listening("receive_logs_topic.py", *patterns)
        for patterns in (["#"], ["kern.*"], ["*.critical"], ["kern.*", "*.critical"])
    )
    for key in ("kern.critical", "kern.info", "cron.critical", "cron.info", "a.b.c"):
        Terminal("emit_log_topic.py", key, "m").ends()
    everything.shows("kern.critical:m", "kern.info:m", "cron.critical:m", "cron.info:m", "a.b.c:m")
    kernel.shows("kern.critical:m", "kern.info:m").shows_never("cron", "a.b.c")
    critical.shows("kern.critical:m", "cron.critical:m").shows_never("info", "a.b.c")
    both.shows("kern.critical:m", "kern.info:m", "cron.critical:m").shows_never("cron.info", "a.b.c")
    assert sum("kern.critical" in line for line in both.lines) == 1, both.lines


def rpc():
    listening("rpc_server.py").shows("Awaiting")
    for n, answer in ((0, 0), (10, 55), (20, 6765)):
        Terminal("rpc_client.py", str(n)).ends().shows(f" [.] Got {answer}")
    clients = [Terminal("rpc_client.py", str(n)) for n in (5, 15)]
    for client, answer in zip(clients, (5, 610)):
        client.ends().shows(f" [.] Got {answer}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--amqp", required=True)
    parser.add_argument("--management")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    os.environ["AMQP"] = options.amqp
    for tutorial in (hello, work_queues, publish_subscribe, routing, topics, rpc):
        if options.only not in tutorial.__name__:
            continue
        try:
            tutorial()
        finally:
            for terminal in TERMINALS:
                terminal.stop(signal.SIGKILL)
            TERMINALS.clear()
        print(f"{tutorial.__name__}: ok", file=sys.stderr)
    print("ok")


if __name__ == "__main__":
    main()
