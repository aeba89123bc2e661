"""kombu: pools of producers, consumers by mixin, JSON and compression, SimpleQueue, and a delayed retry by dead letter.

Usage: kombu_producers.py --amqp HOST:PORT; ends with 0 and a line `ok`.
"""

import socket
import threading

from kombu import Connection, Consumer, Exchange, Queue
from kombu.mixins import ConsumerMixin
from kombu.pools import producers

import where

options = where.options(__doc__)
exchange = Exchange("kombu-media", "topic", durable=True)
video = Queue("kombu-video", exchange, routing_key="video.#", durable=True)
every = Queue("kombu-every", exchange, routing_key="#", durable=True, queue_arguments={"x-queue-type": "quorum"})


class Worker(ConsumerMixin):
    """Consumes both queues until all that is expected has come."""

    def __init__(self, connection, expected):
        self.connection, self.expected, self.got = connection, expected, []

    def get_consumers(self, consumer, channel):
        return [consumer([video, every], callbacks=[self.take], accept=["json"], prefetch_count=10)]

    def take(self, body, message):
        self.got.append((message.delivery_info["routing_key"], body["at"]))
        message.ack()
        self.should_stop = len(self.got) >= self.expected


with Connection(options.url, transport_options={"confirm_publish": True}) as connection:
    connection.ensure_connection(max_retries=3)
    channel = connection.channel()
    for queue in (video, every):
        queue(channel).declare()
        queue(channel).purge()
    worker = Worker(Connection(options.url), 60)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    with producers[connection].acquire(block=True) as producer:
        for at in range(40):
            key = "video.short" if at % 2 else "audio.long"
            producer.publish({"at": at}, exchange=exchange, routing_key=key, serializer="json", compression="zlib", retry=True)
    thread.join(60)
    assert not thread.is_alive(), f"only {len(worker.got)} of 60 came"
    assert sorted(worker.got) == sorted(
        [("video.short", at) for at in range(1, 40, 2)] * 2 + [("audio.long", at) for at in range(0, 40, 2)]
    )

    # A retry after a while: a queue without a consumer, whose dead letters come back.
    retry = Queue(
        "kombu-retry", Exchange(""), durable=True, message_ttl=0.1,
        queue_arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": video.name},
    )
    retry(channel).declare()
    with producers[connection].acquire(block=True) as producer:
        producer.publish({"at": 1}, exchange="", routing_key=retry.name, serializer="json")
    came = []
    with Consumer(channel, [video], callbacks=[lambda body, message: (came.append(message), message.ack())], accept=["json"]):
        connection.drain_events(timeout=10)
    death = came[0].headers["x-death"][0]
    assert death["queue"] == retry.name and death["reason"] == "expired" and death["count"] == 1, death

    # Like a queue of the standard library.
    with connection.SimpleQueue("kombu-simple") as simple:
        simple.clear()
        simple.put({"n": 1}, compression="bzip2")
        message = simple.get(timeout=5)
        assert message.payload == {"n": 1}
        message.requeue()
        message = simple.get(timeout=5)
        assert message.delivery_info["redelivered"]
        message.ack()
        try:
            simple.get(timeout=0.3)
            raise SystemExit("the queue was not empty")
        except (simple.Empty, socket.timeout):
            pass
    for name in (video.name, every.name, retry.name, "kombu-simple"):
        channel.queue_delete(name)
    channel.exchange_delete(exchange.name)
print("ok")
