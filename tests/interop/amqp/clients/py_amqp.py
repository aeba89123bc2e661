"""py-amqp, the layer below kombu: declared, bound, confirmed, got, consumed; a heartbeat; an error of each kind.

Usage: py_amqp.py --amqp HOST:PORT; ends with 0 and a line `ok`.
"""

import time

import amqp

import where

options = where.options(__doc__)
connection = amqp.Connection(options.amqp, confirm_publish=True, heartbeat=4)
connection.connect()
assert connection.server_capabilities["publisher_confirms"] and connection.server_capabilities["basic.nack"]
channel = connection.channel()
channel.exchange_declare("pyamqp", "direct", durable=False, auto_delete=True)
name, messages, consumers = channel.queue_declare("pyamqp-queue", durable=False, exclusive=True, auto_delete=False)
assert (name, messages, consumers) == ("pyamqp-queue", 0, 0)
channel.queue_bind(name, "pyamqp", routing_key="key")
sent = amqp.Message("text", content_type="text/plain", application_headers={"a": 1, "b": [True, None], "c": {"d": 2.5}}, priority=3)
channel.basic_publish_confirm(sent, exchange="pyamqp", routing_key="key")
got = channel.basic_get(name)
assert got.body == "text" and got.headers == {"a": 1, "b": [True, None], "c": {"d": 2.5}}, (got.body, got.headers)
assert got.properties["priority"] == 3 and got.delivery_info["routing_key"] == "key", got.delivery_info
channel.basic_reject(got.delivery_tag, requeue=True)
again = []
tag = channel.basic_consume(name, callback=again.append)
while not again:
    connection.drain_events(timeout=5)
assert again[0].delivery_info["redelivered"]
channel.basic_ack(again[0].delivery_tag)
channel.basic_cancel(tag)
returned = []
channel.events["basic_return"].add(lambda *arguments: returned.append(arguments[0].reply_code))
channel.basic_publish(amqp.Message("back"), exchange="pyamqp", routing_key="nobody", mandatory=True)
deadline = time.monotonic() + 5
while not returned and time.monotonic() < deadline:
    try:
        connection.drain_events(timeout=0.2)
    except TimeoutError:
        pass
assert returned == [312], returned

# Transactions, on a channel without confirms.
plain = amqp.Connection(options.amqp)
plain.connect()
transaction = plain.channel()
transaction.queue_declare("pyamqp-tx", exclusive=True, auto_delete=False)
transaction.tx_select()
transaction.basic_publish(amqp.Message("no"), routing_key="pyamqp-tx")
transaction.tx_rollback()
transaction.basic_publish(amqp.Message("yes"), routing_key="pyamqp-tx")
transaction.tx_commit()
assert transaction.basic_get("pyamqp-tx", no_ack=True).body == "yes" and transaction.basic_get("pyamqp-tx") is None
plain.close()

# Errors of a channel leave the connection; each has a class of its own.
for error, action in (
    (amqp.NotFound, lambda one: one.queue_declare("nobody-made-this", passive=True)),
    (amqp.PreconditionFailed, lambda one: one.queue_declare("pyamqp-queue", exclusive=True, auto_delete=True)),
    (amqp.AccessRefused, lambda one: one.exchange_declare("amq.own", "direct")),
):
    broken = connection.channel()
    try:
        action(broken)
        raise SystemExit(f"no {error.__name__}")
    except error:
        pass
assert connection.connected and channel.is_open

# Quiet for longer than two heartbeats, but ticking.
for _ in range(22):
    connection.heartbeat_tick(rate=2)
    try:
        connection.drain_events(timeout=0.5)
    except TimeoutError:
        pass
assert channel.queue_declare(name, passive=True).message_count == 0
connection.close()
print("ok")
