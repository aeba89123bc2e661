"""The tasks of celery_worker.py, as a project has them; imported by the worker and by the one who sends."""

import os
import time

from celery import Celery

app = Celery("tasks", broker=os.environ["AMQP_URL"], backend="rpc://")
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"confirm_publish": True},
    task_default_queue="celery-interop",
    result_expires=60,
)


@app.task
def add(x, y):
    return x + y


@app.task(bind=True, max_retries=3, default_retry_delay=0.1)
def flaky(self):
    """Succeeds the third time."""
    if self.request.retries < 2:
        raise self.retry(countdown=0.1)
    return self.request.retries


@app.task(bind=True)
def slow(self, marker):
    """Takes a while the first time, so that its worker can be killed; says how often it ran."""
    with open(marker, "a", encoding="utf-8") as file:
        file.write("run\n")
    with open(marker, encoding="utf-8") as file:
        runs = len(file.readlines())
    time.sleep(30 if runs == 1 else 0)
    return runs
