"""Streams over AMQP 0-9-1: offsets, what a consumer must ask for, what a stream refuses."""

from wire import V

from cases import case, each

STREAM = {"x-queue-type": "stream"}


def stream(t, count=4, **options):
    ch = t.channel()
    ch.queue(durable=True, arguments=STREAM | options)
    ch.call("confirm.select")
    for at in range(count):
        ch.put(t.q, f"m{at}", headers={"own": at})
        ch.expect("basic.ack")
    return ch


@each("a stream from", {
    "first": "first", "last": "last", "next": "next", "offset 0": V("l", 0), "offset 2": V("l", 2), "offset 2 of 32 bits": 2,
    "an offset beyond": V("l", 100), "a time long ago": V("T", 1000000000), "an interval": "1h", "nowhere said": None,
})
def _(t, offset):
    ch = stream(t)
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(consumer_tag="c", arguments={} if offset is None else {"x-stream-offset": offset})
    ch.quiet(0.4)
    if offset in ("next", None):
        ch.put(t.q, "new")
        ch.expect("basic.ack")
        ch.expect("basic.deliver")


@each("a stream from a bad offset", {
    "text": "nonsense", "negative": V("l", -1), "a boolean": True, "a list": [1], "an empty text": "",
})
def _(t, offset):
    ch = stream(t, 1)
    ch.call("basic.qos", prefetch_count=10)
    ch.consume(arguments={"x-stream-offset": offset})
    ch.quiet()


@each("a stream refuses", {
    "a consumer without prefetch": [("basic.consume", {})],
    "a consumer without acknowledgements": [("basic.qos", {"prefetch_count": 5}), ("basic.consume", {"no_ack": True})],
    "an exclusive consumer": [("basic.qos", {"prefetch_count": 5}), ("basic.consume", {"exclusive": True})],
    "global prefetch": [("basic.qos", {"prefetch_count": 5, "global": True}), ("basic.consume", {})],
    "get": [("basic.get", {})], "purge": [("queue.purge", {})],
    "another type's declaration": [("queue.declare", {"durable": True, "arguments": {"x-queue-type": "classic"}})],
    "deletion if unused": [("queue.delete", {"if_unused": True})], "deletion if empty": [("queue.delete", {"if_empty": True})],
})
def _(t, methods):
    ch = stream(t, 1)
    for name, fields in methods:
        ch.call(name, **fields if name == "basic.qos" else fields | {"queue": t.q})


@case("a stream is read twice")
def _(t):
    ch = stream(t, 2)
    ch.call("basic.qos", prefetch_count=10)
    for tag in "ab":
        ch.consume(consumer_tag=tag, arguments={"x-stream-offset": "first"})
        ch.expect("basic.deliver", count=2)


@case("a stream waits for acknowledgements")
def _(t):
    ch = stream(t, 4)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="c", arguments={"x-stream-offset": "first"})
    ch.quiet()
    ch.send("basic.ack", delivery_tag=1)
    ch.expect("basic.deliver")


@each("a stream's message that is", {"rejected": {}, "requeued": {"requeue": True}})
def _(t, options):
    ch = stream(t, 2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="c", arguments={"x-stream-offset": "first"})
    ch.expect("basic.deliver")
    ch.send("basic.nack", delivery_tag=1, **options)
    ch.quiet()
    ch.alive()


@case("a stream's consumer is cancelled")
def _(t):
    ch = stream(t, 1)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="c", arguments={"x-stream-offset": "first"})
    ch.expect("basic.deliver")
    ch.call("basic.cancel", consumer_tag="c")


@case("a stream's consumer is told that it is deleted")
def _(t):
    ch, other = stream(t, 1), t.channel()
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="c", arguments={"x-stream-offset": "next"})
    other.call("queue.delete", queue=t.q)
    ch.expect("basic.cancel")


@case("a stream keeps properties")
def _(t):
    ch = stream(t, 0)
    ch.call("basic.qos", prefetch_count=1)
    ch.put(t.q, "m", content_type="text/plain", message_id="i", headers={"a": [1, "b"], "t": {"k": True}}, priority=3)
    ch.expect("basic.ack")
    ch.consume(consumer_tag="c", arguments={"x-stream-offset": "first"})
    ch.expect("basic.deliver")
