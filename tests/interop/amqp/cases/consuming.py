"""Consumers: consume and cancel with each option, prefetch, acknowledgements of every kind, get, recover, order."""

import time

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


SETTLE = {
    "ack": [("basic.ack", {"delivery_tag": 2})], "ack multiple": [("basic.ack", {"delivery_tag": 3, "multiple": True})],
    "ack all": [("basic.ack", {"delivery_tag": 0, "multiple": True})],
    "nack": [("basic.nack", {"delivery_tag": 2})], "nack requeue": [("basic.nack", {"delivery_tag": 2, "requeue": True})],
    "nack multiple requeue": [("basic.nack", {"delivery_tag": 3, "multiple": True, "requeue": True})],
    "nack all requeue": [("basic.nack", {"delivery_tag": 0, "multiple": True, "requeue": True})],
    "reject": [("basic.reject", {"delivery_tag": 2})],
    "reject requeue": [("basic.reject", {"delivery_tag": 2, "requeue": True})],
    "nacks out of order": [("basic.nack", {"delivery_tag": tag, "requeue": True}) for tag in (4, 1, 3)],
    "recover requeue": [("basic.recover", {"requeue": True})],
    "recover-async requeue": [("basic.recover-async", {"requeue": True})],
}


@each("settle and look what is left:", SETTLE)
def _(t, methods):
    ch = filled(t)
    for _ in range(4):
        ch.get(no_ack=False)
    for name, fields in methods:
        ch.call(name, **fields) if name == "basic.recover" else ch.send(name, **fields)
    time.sleep(0.05)
    for _ in range(6):
        if ch.get()["<"] == "basic.get-empty":
            break
    ch.connection.drop()
    other = t.channel()
    time.sleep(0.2)
    for _ in range(6):
        if other.get()["<"] == "basic.get-empty":
            break


@each("with a consumer that holds two, ", {
    key: SETTLE[key] for key in ("ack", "ack multiple", "nack requeue", "reject requeue", "recover requeue")
    if not any(fields.get("delivery_tag") == 3 for _, fields in SETTLE[key])
})
def _(t, methods):
    ch = filled(t)
    ch.call("basic.qos", prefetch_count=2)
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver", count=2)
    for name, fields in methods:
        ch.call(name, **fields) if name == "basic.recover" else ch.send(name, **fields)
    ch.quiet()


@each("an unknown delivery tag:", {
    "ack": ("basic.ack", {"delivery_tag": 9}), "ack multiple": ("basic.ack", {"delivery_tag": 9, "multiple": True}),
    "ack 0": ("basic.ack", {"delivery_tag": 0}), "nack": ("basic.nack", {"delivery_tag": 9}),
    "nack 0": ("basic.nack", {"delivery_tag": 0}), "reject": ("basic.reject", {"delivery_tag": 9}),
    "ack of the largest": ("basic.ack", {"delivery_tag": 2**64 - 1}),
})
def _(t, method):
    ch = filled(t, "1")
    ch.get(no_ack=False)
    ch.send(method[0], **method[1])
    ch.alive()


@case("acknowledge twice")
def _(t):
    ch = filled(t, "1")
    ch.get(no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.ack", delivery_tag=1)
    ch.alive()


@case("acknowledge all of nothing")
def _(t):
    ch = t.channel()
    ch.send("basic.ack", delivery_tag=0, multiple=True)
    ch.send("basic.nack", delivery_tag=0, multiple=True)
    ch.alive()


@case("acknowledge what was delivered without acknowledgement")
def _(t):
    ch = filled(t, "1")
    ch.get()
    ch.send("basic.ack", delivery_tag=1)
    ch.alive()


@case("acknowledge on another channel")
def _(t):
    ch = filled(t, "1")
    ch.get(no_ack=False)
    other = ch.connection.channel()
    other.send("basic.ack", delivery_tag=1)
    other.alive()


@each("recover without requeue", ["basic.recover", "basic.recover-async"])
def _(t, name):
    ch = filled(t, "1")
    ch.get(no_ack=False)
    ch.call(name) if name == "basic.recover" else ch.send(name)
    ch.alive()


@case("get from an empty queue")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.get()


@case("get counts what stays")
def _(t):
    ch = filled(t, "1", "2", "3")
    ch.count_soon(3)
    ch.get()
    ch.get(no_ack=False)
    ch.get()
    ch.get()


@each("what was unacknowledged comes back when", ["the channel closes", "the connection drops", "the connection closes"])
def _(t, how):
    ch = filled(t, "1", "2", "3")
    ch.consume()
    ch.expect("basic.deliver", count=3)
    ch.send("basic.ack", delivery_tag=2)
    other = t.channel()
    if how == "the channel closes":
        ch.call("channel.close", reply_code=200)
    elif how == "the connection drops":
        ch.connection.drop()
    else:
        ch.connection.hang_up()
    other.get_soon()
    other.get_soon()
    other.get()


@case("what comes back goes before what waits")
def _(t):
    ch = filled(t, "1", "2", "3", "4")
    ch.get(no_ack=False)
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=2, requeue=True)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    for _ in range(4):
        ch.get_soon()


@case("delivery tags go on over consumers and gets")
def _(t):
    ch = filled(t, "1", "2", "3")
    ch.get()
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver", count=2)
    ch.call("basic.cancel", consumer_tag="c")
    ch.put(t.q, "4")
    ch.get()


@each("channel.flow", {"on": True, "off": False})
def _(t, active):
    ch = t.channel()
    ch.call("channel.flow", active=active)
    ch.alive()


@case("no-local is not honoured")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.consume(no_local=True, no_ack=True)
    ch.put(t.q, "own")
    ch.expect("basic.deliver")


@case("consumer counts")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.consume(consumer_tag="a")
    ch.consume(consumer_tag="b")
    ch.queue(passive=True)
    ch.call("basic.cancel", consumer_tag="a")
    ch.count_soon(0, consumers=1)
