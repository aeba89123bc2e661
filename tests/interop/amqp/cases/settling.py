"""Acknowledgements, rejections and recovery of every kind, and what comes back in which order."""

import time

from cases import case, each


def filled(t, *contents, **options):
    """A channel with a queue that holds `contents`."""
    ch = t.channel()
    ch.queue(**options)
    ch.put(t.q, *(contents or ("1", "2", "3", "4", "5")))
    return ch


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
