"""Consumers: consume and cancel with each option, prefetch, acknowledgements of every kind, get, recover, order."""

from wire import V

from cases import case, each


def filled(t, *contents, **options):
    """A channel with a queue that holds `contents`."""
    ch = t.channel()
    ch.queue(**options)
    ch.put(t.q, *(contents or ("1", "2", "3", "4", "5")))
    return ch


@each("consume", {
    "plain": {}, "with a tag": {"consumer_tag": "mine"}, "without acknowledgements": {"no_ack": True},
    "no-local": {"no_local": True}, "exclusive": {"exclusive": True},
    "with an unknown argument": {"arguments": {"x-own": 1}}, "with priority": {"arguments": {"x-priority": 5}},
    "with priority as text": {"arguments": {"x-priority": "5"}},
    "with priority of 64 bits": {"arguments": {"x-priority": V("l", 2**40)}},
    "with a stream offset": {"arguments": {"x-stream-offset": "first"}},
    "with x-cancel-on-ha-failover": {"arguments": {"x-cancel-on-ha-failover": True}},
    "with a tag of 255 bytes": {"consumer_tag": "t" * 255}, "with a tag of UTF-8": {"consumer_tag": "ß-日本"},
})
def _(t, options):
    ch = filled(t, "1")
    ch.consume(**options)
    ch.expect("basic.deliver")
    ch.send("basic.ack", delivery_tag=1)
    ch.quiet(0.1)


@case("consume without waiting")
def _(t):
    ch = filled(t, "1")
    ch.send("basic.consume", queue=t.q, consumer_tag="c", nowait=True)
    ch.expect("basic.deliver")
    ch.send("basic.cancel", consumer_tag="c", nowait=True)
    ch.send("basic.ack", delivery_tag=1)
    ch.alive()


@case("consume with a tag that is taken")
def _(t):
    ch = filled(t)
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver", count=5)
    ch.consume(consumer_tag="c")


@case("the same tag on two channels")
def _(t):
    connection = t.connect()
    one, two = connection.channel(), connection.channel()
    one.queue()
    one.consume(consumer_tag="c")
    two.consume(consumer_tag="c")
    one.put(t.q, "1", "2")
    one.expect("basic.deliver")
    two.expect("basic.deliver")


@case("an exclusive consumer keeps others out")
def _(t):
    one, two = t.channel(), t.channel()
    one.queue()
    one.consume(exclusive=True, consumer_tag="c")
    two.consume()
    two = two.connection.channel(5)
    one.call("basic.cancel", consumer_tag="c")
    two.consume()


@case("an exclusive consumer is refused beside another")
def _(t):
    one, two = t.channel(), t.channel()
    one.queue()
    one.consume()
    two.consume(exclusive=True)


@each("cancel", {"what is there": "c", "what is not": "other"})
def _(t, tag):
    ch = filled(t, "1")
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver")
    ch.call("basic.cancel", consumer_tag=tag)
    ch.put(t.q, "2")
    ch.quiet()


@case("what a cancelled consumer held stays with its channel")
def _(t):
    ch = filled(t, "1", "2")
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver", count=2)
    ch.call("basic.cancel", consumer_tag="c")
    ch.get()
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.nack", delivery_tag=2, requeue=True)
    ch.get_soon()


@each("a consumer is told that its queue is deleted", {"with the capability": True, "without it": False})
def _(t, told):
    capabilities = {"consumer_cancel_notify": True} if told else {}
    ch, other = t.channel(capabilities=capabilities), t.channel()
    ch.queue()
    ch.consume(consumer_tag="c")
    other.call("queue.delete", queue=t.q)
    ch.quiet()
    ch.alive()


@case("acknowledge after the queue is gone")
def _(t):
    ch = filled(t, "1")
    ch.get(no_ack=False)
    ch.call("queue.delete", queue=t.q)
    ch.send("basic.ack", delivery_tag=1)
    ch.alive()


@case("consumers take turns")
def _(t):
    ch = t.channel()
    ch.queue()
    for tag in "abc":
        ch.consume(consumer_tag=tag, no_ack=True)
    for at in range(6):
        ch.put(t.q, str(at))
        ch.expect("basic.deliver")


@case("consumers of higher priority go first")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="low", arguments={"x-priority": -1})
    ch.consume(consumer_tag="none")
    ch.consume(consumer_tag="high", arguments={"x-priority": 10})
    for at in range(4):
        ch.put(t.q, str(at))
        ch.expect("basic.deliver") if at < 3 else ch.quiet()
    ch.send("basic.ack", delivery_tag=2)
    ch.expect("basic.deliver")


@case("a single active consumer hands over")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-single-active-consumer": True})
    ch.consume(consumer_tag="first", no_ack=True)
    ch.consume(consumer_tag="second", no_ack=True)
    for content in ("1", "2"):
        ch.put(t.q, content)
        ch.expect("basic.deliver")
    ch.call("basic.cancel", consumer_tag="first")
    ch.put(t.q, "3")
    ch.expect("basic.deliver")


@case("a single active consumer is not exclusive")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-single-active-consumer": True})
    ch.consume(exclusive=True)


@each("prefetch of", {
    "2 a consumer": [{"prefetch_count": 2}], "2 a channel": [{"prefetch_count": 2, "global": True}],
    "0": [{"prefetch_count": 0}], "2 a consumer and 3 a channel": [{"prefetch_count": 2}, {"prefetch_count": 3, "global": True}],
})
def _(t, settings):
    ch = filled(t)
    for setting in settings:
        ch.call("basic.qos", **setting)
    ch.consume(consumer_tag="a")
    ch.quiet()
    ch.consume(consumer_tag="b")
    ch.quiet()
    ch.send("basic.ack", delivery_tag=1)
    ch.quiet()


@case("prefetch in bytes")
def _(t):
    t.channel().call("basic.qos", prefetch_size=1000)


@case("prefetch changed later holds for later consumers")
def _(t):
    ch = filled(t)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="a")
    ch.expect("basic.deliver")
    ch.call("basic.qos", prefetch_count=2)
    ch.quiet()
    ch.consume(consumer_tag="b")
    ch.quiet()


@case("a channel's prefetch is raised")
def _(t):
    ch = filled(t)
    ch.call("basic.qos", prefetch_count=1, **{"global": True})
    ch.consume(consumer_tag="a")
    ch.quiet()
    ch.call("basic.qos", prefetch_count=3, **{"global": True})
    ch.quiet()


@case("prefetch does not hold without acknowledgements")
def _(t):
    ch = filled(t)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(no_ack=True)
    ch.expect("basic.deliver", count=5)


@case("prefetch does not count what is got")
def _(t):
    ch = filled(t)
    ch.call("basic.qos", prefetch_count=1)
    ch.get(no_ack=False)
    ch.get(no_ack=False)
    ch.consume()
    ch.quiet()
