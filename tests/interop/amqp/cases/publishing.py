"""Publishing: properties and bodies as they come out, mandatory and immediate, confirms, transactions, CC, reply-to."""

import functools

import wire
from wire import V

from cases import case, each

EVERY_PROPERTY = {
    "content_type": "text/plain", "content_encoding": "gzip", "headers": {"a": 1}, "delivery_mode": 2, "priority": 3,
    "correlation_id": "c", "reply_to": "r", "expiration": "60000", "message_id": "m", "timestamp": 1700000000,
    "type": "t", "user_id": "guest", "app_id": "app", "cluster_id": "cl",
}


@each("a message keeps", {"all properties": EVERY_PROPERTY, "none": {}} | {
    name: {name: value} for name, value in EVERY_PROPERTY.items()
})
def _(t, properties):
    ch = t.channel()
    ch.connection.keep_raw = True
    ch.queue()
    ch.put(t.q, "body", **properties)
    ch.get()


@each("a header keeps its type and bytes:", {kind: V(kind, value) for kind, value in {
    "t": True, "b": -5, "B": 200, "s": -5, "u": 60000, "I": -5, "i": 2**31, "l": -(2**40), "f": 1.5, "d": 2.25,
    "D": (2, 12345), "S": "text", "x": b"\x00\xff", "T": 1700000000, "V": None, "A": [1, "a", None], "F": {"k": [True]},
}.items()})
def _(t, value):
    ch = t.channel()
    ch.connection.keep_raw = True
    ch.queue()
    ch.put(t.q, "body", headers={"h": value})
    ch.get()


NESTED = functools.reduce(lambda inner, _: {"n": inner}, range(30), 1)


@each("headers with", {
    "a key twice": [("a", 1), ("b", 2), ("a", 3)], "no keys": {}, "an empty key": {"": 1}, "a key of 255 bytes": {"k" * 255: 1},
    "a kind nobody knows": {"a": V("Z", b"zz")}, "nesting of 30": NESTED,
    "a table cut short": b"\x00\x00\x00\x09\x01aI\x00", "keys in no order": {"z": 1, "a": 2, "m": 3},
})
def _(t, headers):
    ch = t.channel()
    ch.connection.keep_raw = True
    ch.queue()
    ch.put(t.q, "body", headers=headers)
    ch.get()


@each("a body of", [0, 1, 4096, 131064, 131065, 300000])
def _(t, size):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "b" * size)
    ch.get()


@case("a body in many small frames")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.send("basic.publish", routing_key=t.q)
    ch.connection.send(wire.content_header(1, 5, {}))
    for byte in b"small":
        ch.connection.send(wire.frame(wire.FRAME_BODY, 1, bytes([byte])))
    ch.get()


@case("a body with empty frames in it")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.send("basic.publish", routing_key=t.q)
    ch.connection.send(wire.content_header(1, 4, {}))
    for part in (b"", b"ab", b"", b"cd"):
        ch.connection.send(wire.frame(wire.FRAME_BODY, 1, part))
    ch.get()


@case("a body of 17 MiB")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("confirm.select")
    ch.put(t.q, b"b" * (17 * 2**20))
    ch.expect("basic.ack")


@case("a large body comes in frames of the agreed size")
def _(t):
    ch = t.channel(tune={"frame_max": 4096})
    ch.queue()
    ch.put(t.q, "b" * 10000)
    ch.get()


@case("contents of two channels in turns")
def _(t):
    connection = t.connect()
    one, two = connection.channel(), connection.channel()
    one.queue()
    for ch in (one, two):
        ch.send("basic.publish", routing_key=t.q)
        connection.send(wire.content_header(ch.number, 4, {}))
    for part in (b"ab", b"cd"):
        for ch in (one, two):
            connection.send(wire.frame(wire.FRAME_BODY, ch.number, part))
    one.count_soon(2)
    one.get()
    two.get()


@each("publish to an exchange that is not there", {"plain": {}, "mandatory": {"mandatory": True}, "with confirms": {}})
def _(t, options):
    ch = t.channel()
    if not options:
        ch.call("confirm.select")
    ch.publish("nobody-made-this", "k", **options)
    ch.expect("channel.close")


@each("publish mandatory", {"routed": True, "not routed": False})
def _(t, routed):
    ch = t.channel()
    ch.queue()
    ch.publish("", t.q if routed else "nobody", "body", mandatory=True, headers={"a": 1}, message_id="m")
    ch.expect("basic.return") if not routed else ch.get()


@each("publish immediate", {"alone": {}, "and mandatory": {"mandatory": True}})
def _(t, options):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "now", immediate=True, **options)
    ch.alive()


@case("publish with a ticket")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "t", ticket=77)
    ch.get()


@case("access.request")
def _(t):
    t.channel().call("access.request", realm="/data", active=True, write=True, read=True)


@each("the user of a message", {"is the sender": "guest", "is another": "somebody", "is empty": ""})
def _(t, user):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "m", user_id=user)
    ch.get()


@each("the expiration of a message", ["0", "100000", "-1", "1.5", "abc", "", "1 ", "+60000", "0x10", "4294967295", "4294967296", "99999999999999999999"])
def _(t, value):
    ch = t.channel()
    ch.queue()
    ch.call("confirm.select")
    ch.put(t.q, "m", expiration=value)
    ch.expect("basic.ack")
    ch.get()


@each("delivery mode", [0, 1, 2, 3, 255])
def _(t, value):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "m", delivery_mode=value)
    ch.get()
