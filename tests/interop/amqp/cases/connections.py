"""Connections and channels: the handshake and its refusals, tuning, frames out of order or malformed, closing."""

import time

import wire
from wire import V

from cases import case, each

HEADER = b"AMQP\x00\x00\x09\x01"
START_OK = {"client_properties": {}, "mechanism": "PLAIN", "response": "\0guest\0guest", "locale": "en_US"}


def started(t, **options):
    """A connection that waits for start-ok; nothing of the start is written down."""
    connection = t.raw()
    connection.send(HEADER)
    connection.wait(0, ["connection.start"])
    t.transcript.clear()
    return connection


def tuned(t, **options):
    connection = started(t)
    connection.method(0, "connection.start-ok", **START_OK | options)
    connection.wait(0, ["connection.tune"])
    return connection


@case("the start")
def _(t):
    connection = t.raw()
    connection.send(HEADER)
    connection.wait(0, ["connection.start"])


@each("a protocol header", {
    "of 0-8": b"AMQP\x01\x01\x08\x00", "of 0-9": b"AMQP\x01\x01\x00\x09", "of 0-9-1 in the old way": b"AMQP\x01\x01\x09\x01",
    "of another revision": b"AMQP\x00\x00\x09\x02", "of HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "of TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03", "of zeroes": b"\0" * 8, "of AMQP 0-10": b"AMQP\x01\x01\x00\x0a",
})
def _(t, header):
    connection = t.raw()
    connection.send(header)
    connection.wait(0, ["protocol-header"])
    connection.quiet()


@case("half a protocol header, and the rest later")
def _(t):
    connection = t.raw()
    connection.send(HEADER[:3])
    time.sleep(0.1)
    connection.send(HEADER[3:])
    connection.wait(0, ["connection.start"])


@each("credentials", {
    "PLAIN": {}, "of a wrong password": {"response": "\0guest\0wrong"}, "of an unknown user": {"response": "\0nobody\0x"},
    "without zeroes": {"response": "guest"}, "with an identity": {"response": "me\0guest\0guest"}, "that are empty": {"response": ""},
    "AMQPLAIN": {"mechanism": "AMQPLAIN", "response": wire.table({"LOGIN": "guest", "PASSWORD": "guest"})[4:]},
    "AMQPLAIN of a wrong password": {"mechanism": "AMQPLAIN", "response": wire.table({"LOGIN": "guest", "PASSWORD": "x"})[4:]},
    "AMQPLAIN without a password": {"mechanism": "AMQPLAIN", "response": wire.table({"LOGIN": "guest"})[4:]},
    "EXTERNAL": {"mechanism": "EXTERNAL", "response": ""}, "ANONYMOUS": {"mechanism": "ANONYMOUS", "response": ""},
    "an unknown mechanism": {"mechanism": "OTHER"}, "an empty mechanism": {"mechanism": ""},
    "a mechanism in small letters": {"mechanism": "plain"},
})
@each("told credentials", {
    key: options | {"client_properties": {"capabilities": {"authentication_failure_close": True}}}
    for key, options in {
        "of a wrong password": {"response": "\0guest\0wrong"}, "of an unknown user": {"response": "\0nobody\0x"},
        "without zeroes": {"response": "guest"}, "an unknown mechanism": {"mechanism": "OTHER"},
    }.items()
})
def _(t, options):
    connection = started(t)
    connection.method(0, "connection.start-ok", **START_OK | options)
    connection.wait(0, ["connection.tune"], seconds=8)
    connection.quiet(0.1)


@each("a locale", {"empty": "", "another": "de_DE", "no text": "\x01"})
def _(t, locale):
    tuned(t, locale=locale)


@each("client properties", {
    "nested": {"a": {"b": {"c": [1, 2, {"d": None}]}}}, "of every type": {
        "t": True, "b": V("b", 1), "s": V("s", 1), "I": 1, "l": V("l", 1), "f": V("f", 1.0), "d": 1.0, "D": V("D", (1, 1)),
        "T": V("T", 1), "x": b"x", "V": None,
    },
    "capabilities of the wrong type": {"capabilities": "all"}, "capability of the wrong type": {"capabilities": {"basic.nack": 1}},
})
def _(t, properties):
    tuned(t, client_properties=properties)


@each("tune", {
    "as offered": {}, "no heartbeat": {"heartbeat": 0}, "a channel": {"channel_max": 1}, "unlimited": {"channel_max": 0, "frame_max": 0},
    "more channels": {"channel_max": 4000}, "larger frames": {"frame_max": 200000}, "tiny frames": {"frame_max": 4095},
    "smallest frames": {"frame_max": 4096}, "frames of 8192": {"frame_max": 8192}, "frames of 1": {"frame_max": 1},
})
def _(t, options):
    connection = tuned(t)
    connection.method(0, "connection.tune-ok", **{"channel_max": 2047, "frame_max": 131072, "heartbeat": 60} | options)
    connection.method(0, "connection.open", virtual_host="/")
    connection.wait(0, ["connection.open-ok"], seconds=8)


@each("open the virtual host", {"unknown": "nowhere", "empty": "", "long": "v" * 255, "with an old field": "/"})
def _(t, vhost):
    connection = tuned(t)
    connection.method(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
    connection.method(0, "connection.open", virtual_host=vhost, reserved_1="caps", reserved_2=True)
    connection.wait(0, ["connection.open-ok"], seconds=8)


@each("before start-ok:", {
    "tune-ok": (0, "connection.tune-ok", {}), "open": (0, "connection.open", {"virtual_host": "/"}),
    "channel.open": (1, "channel.open", {}), "close": (0, "connection.close", {"reply_code": 200}),
    "secure-ok": (0, "connection.secure-ok", {"response": "x"}),
})
def _(t, method):
    connection = started(t)
    connection.method(method[0], method[1], **method[2])
    connection.wait(0, ["connection.close-ok"], seconds=8)


@each("before open:", {
    "channel.open": (1, "channel.open", {}), "start-ok": (0, "connection.start-ok", START_OK),
    "close": (0, "connection.close", {"reply_code": 200}),
})
def _(t, method):
    connection = tuned(t)
    connection.method(0, "connection.tune-ok", channel_max=2047, frame_max=131072)
    connection.method(method[0], method[1], **method[2])
    connection.wait(0, ["connection.close-ok"], seconds=8)


@each("once open:", {
    "start-ok": ("connection.start-ok", START_OK), "tune-ok": ("connection.tune-ok", {}),
    "open again": ("connection.open", {"virtual_host": "/"}), "secure-ok": ("connection.secure-ok", {}),
    "a server's method": ("connection.start", {}), "close-ok": ("connection.close-ok", {}), "blocked": ("connection.blocked", {}),
})
def _(t, method):
    connection = t.connect()
    connection.method(0, method[0], **method[1])
    connection.wait(0, ["connection.close-ok"], seconds=2)


@case("close a connection")
def _(t):
    connection = t.connect()
    connection.method(0, "connection.close", reply_code=200, reply_text="bye")
    connection.wait(0, ["connection.close-ok"])
    connection.quiet()


@case("close a connection with channels")
def _(t):
    ch = t.channel()
    ch.queue(exclusive=True)
    ch.consume()
    ch.connection.method(0, "connection.close", reply_code=320, reply_text="bye")
    ch.connection.wait(0, ["connection.close-ok"])


@case("after the broker closes, what is said is not heard")
def _(t):
    connection = t.connect()
    ch = connection.channel()
    ch.queue()
    connection.send(wire.method(1, "basic.qos", prefetch_size=1))
    connection.send(wire.method(1, "queue.declare", queue=t.q, passive=True))
    connection.quiet()


@each("update-secret", {"new": {"new_secret": "token", "reason": "renewed"}, "empty": {}})
def _(t, fields):
    connection = t.connect()
    connection.method(0, "connection.update-secret", **fields)
    connection.wait(0, ["connection.update-secret-ok"])


@case("close a channel and use its number again")
def _(t):
    connection = t.connect()
    for _ in range(2):
        ch = connection.channel(3)
        ch.queue()
        ch.call("channel.close", reply_code=200)


@case("use a channel's number after the broker closed it")
def _(t):
    connection = t.connect()
    ch = connection.channel(3)
    ch.queue(passive=True)
    ch = connection.channel(3)
    ch.queue()


@case("a channel that the broker closed is silent until close-ok")
def _(t):
    connection = t.connect()
    connection.channel()
    connection.send(wire.method(1, "queue.declare", queue=t.q, passive=True) + wire.method(1, "queue.declare", queue=t.q))
    connection.quiet()
    connection.channel(2).queue(passive=True)


@case("open a channel twice")
def _(t):
    ch = t.channel()
    ch.call("channel.open")


@case("open channel 0")
def _(t):
    connection = t.connect()
    connection.method(0, "channel.open")
    connection.wait(0, ["channel.open-ok"])


@each("on a channel that is not open:", {
    "declare": ("queue.declare", {"queue": "q"}), "publish": ("basic.publish", {}), "close": ("channel.close", {}),
    "close-ok": ("channel.close-ok", {}), "ack": ("basic.ack", {"delivery_tag": 1}),
})
def _(t, method):
    connection = t.connect()
    connection.method(7, method[0], **method[1])
    connection.wait(7, ["channel.close-ok"], seconds=1)


@each("on an open channel:", {
    "connection.close": "connection.close", "connection.open": "connection.open", "channel.open-ok": "channel.open-ok",
    "channel.close-ok": "channel.close-ok", "queue.declare-ok": "queue.declare-ok", "basic.deliver": "basic.deliver",
    "basic.return": "basic.return", "tx.select-ok": "tx.select-ok", "basic.cancel-ok": "basic.cancel-ok",
    "channel.flow-ok": "channel.flow-ok", "basic.get-ok": "basic.get-ok",
})
def _(t, name):
    ch = t.channel()
    ch.send(name)
    ch.expect("connection.close-ok", seconds=1)
    ch.alive()


@case("more channels than agreed")
def _(t):
    connection = t.connect(tune={"channel_max": 3})
    for number in (1, 2, 3, 4):
        connection.channel(number)
        if connection.ended:
            break


@case("a channel's number beyond what is agreed")
def _(t):
    connection = t.connect(tune={"channel_max": 3})
    connection.channel(3)
    connection.channel(9)


@case("2047 channels")
def _(t):
    connection = t.connect()
    connection.send(b"".join(wire.method(number, "channel.open") for number in range(1, 2048)))
    for number in range(1, 2048):
        connection.wait(number, ["channel.open-ok"])
    t.transcript[:] = [entry for entry in t.transcript if entry["<"] != "channel.open-ok"]
    connection.channel(2048)
