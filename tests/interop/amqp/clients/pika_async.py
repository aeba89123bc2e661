"""pika, as a service uses it: a SelectConnection that publishes with confirms and consumes with a prefetch, on one loop.

Usage: pika_async.py --amqp HOST:PORT; ends with 0 and a line `ok`.
"""

import pika
from pika.adapters.select_connection import SelectConnection

import where

options = where.options(__doc__)
COUNT = 500
QUEUE = "pika-async"


class Service:
    """Everything that is to come is kept in sets; the loop ends when they are empty."""

    def __init__(self):
        self.unconfirmed, self.undelivered, self.returned = set(), set(range(COUNT)), []
        self.order = []
        self.connection = SelectConnection(
            pika.ConnectionParameters(options.host, options.port, heartbeat=5),
            on_open_callback=lambda connection: connection.channel(on_open_callback=self.opened),
            on_open_error_callback=self.failed,
            on_close_callback=lambda connection, reason: connection.ioloop.stop(),
        )

    def failed(self, connection, reason):
        raise SystemExit(f"not opened: {reason!r}")

    def opened(self, channel):
        self.channel = channel
        channel.add_on_close_callback(lambda channel, reason: self.connection.is_open and self.connection.close())
        channel.add_on_return_callback(lambda channel, method, properties, body: self.returned.append(method.reply_code))
        channel.queue_declare(QUEUE, durable=True, callback=self.declared)

    def declared(self, frame):
        self.channel.basic_qos(prefetch_count=20, callback=lambda frame: self.channel.queue_purge(QUEUE, callback=self.ready))

    def ready(self, frame):
        self.channel.confirm_delivery(self.confirmed, callback=self.publish)
        self.channel.basic_consume(QUEUE, self.delivered)

    def publish(self, frame):
        persistent = pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent, headers={"from": "pika"})
        for at in range(COUNT):
            self.unconfirmed.add(at + 1)
            self.channel.basic_publish("", QUEUE, str(at).encode(), persistent, mandatory=True)
        self.unconfirmed.add(COUNT + 1)
        self.channel.basic_publish("", "nobody-made-this", b"back", mandatory=True)

    def confirmed(self, frame):
        assert isinstance(frame.method, pika.spec.Basic.Ack), frame
        tag, multiple = frame.method.delivery_tag, frame.method.multiple
        self.unconfirmed -= {one for one in self.unconfirmed if one == tag or (multiple and one <= tag)}
        self.finish()

    def delivered(self, channel, method, properties, body):
        assert properties.headers == {"from": "pika"} and not method.redelivered
        self.order.append(int(body))
        self.undelivered.discard(int(body))
        channel.basic_ack(method.delivery_tag)
        self.finish()

    def finish(self):
        if not self.unconfirmed and not self.undelivered and self.connection.is_open:
            self.channel.queue_delete(QUEUE, callback=lambda frame: self.connection.close())


service = Service()
service.connection.ioloop.call_later(60, service.connection.ioloop.stop)
service.connection.ioloop.start()
assert not service.unconfirmed and not service.undelivered, (len(service.unconfirmed), len(service.undelivered))
assert service.order == list(range(COUNT)), "not in order"
assert service.returned == [312], service.returned

# The blocking one: errors are exceptions of their own kind, and the connection outlives a channel.
connection = pika.BlockingConnection(pika.ConnectionParameters(options.host, options.port))
try:
    connection.channel().queue_declare("nobody-made-this", passive=True)
    raise SystemExit("a queue that is not there was found")
except pika.exceptions.ChannelClosedByBroker as closed:
    assert closed.reply_code == 404 and "no queue 'nobody-made-this' in vhost '/'" in closed.reply_text, closed
channel = connection.channel()
channel.confirm_delivery()
try:
    channel.basic_publish("", "nobody-made-this", b"x", mandatory=True)
    raise SystemExit("an unroutable message was taken")
except pika.exceptions.UnroutableError as unroutable:
    assert unroutable.messages[0].method.reply_code == 312
connection.close()
try:
    pika.BlockingConnection(
        pika.ConnectionParameters(options.host, options.port, credentials=pika.PlainCredentials("guest", "wrong"))
    )
    raise SystemExit("a wrong password was taken")
except (pika.exceptions.ProbableAuthenticationError, pika.exceptions.AuthenticationError):
    pass
print("ok")
