"""Bytes that are no frames, frames that are no methods, contents out of order, heartbeats and silence."""

import socket
import struct
import time

import wire
from wire import V

from cases import case, each


HEADER = b"AMQP\x00\x00\x09\x01"


def nested(depth):
    """A table with an array in an array in an array; made from the inside, so that no stack is needed."""
    value = b""
    for _ in range(depth):
        value = b"A" + struct.pack(">I", len(value)) + value
    return wire.long_string(b"\x01a" + value)


@case("client properties: nested 3000 deep")
def _(t):
    connection = t.raw()
    connection.send(HEADER)
    connection.wait(0, ["connection.start"])
    t.transcript.clear()
    connection.method(0, "connection.start-ok", client_properties=nested(3000), mechanism="PLAIN", response="\0guest\0guest")
    connection.wait(0, ["connection.tune"])


def method_of(class_id, method_id, arguments=b""):
    return wire.frame(1, 1, struct.pack(">HH", class_id, method_id) + arguments)


@each("bytes on a channel", {
    "an unknown class": method_of(99, 10), "an unknown method": method_of(50, 99), "a method's id cut short": wire.frame(1, 1, b"\0\x32\0"),
    "no method at all": wire.frame(1, 1, b""), "arguments cut short": method_of(50, 10, b"\0\0\x05ab"),
    "arguments too long": wire.frame(1, 1, wire.method_payload("queue.declare", {"queue": "q"}) + b"more"),
    "a frame of an unknown kind": wire.frame(7, 1, b"x"), "a frame of kind 0": wire.frame(0, 1, b""),
    "a frame without its end": wire.frame(1, 1, wire.method_payload("channel.flow", {"active": True}), end=0),
    "a heartbeat on a channel": wire.frame(8, 1, b""), "a heartbeat with a body": wire.frame(8, 0, b"xx"),
    "a header without a method": wire.content_header(1, 0, {}), "a body without a method": wire.body(1, b"x"),
    "a header on channel 0": wire.content_header(0, 0, {}), "a body on channel 0": wire.body(0, b"x"),
    "a basic.publish on channel 0": wire.method(0, "basic.publish"),
    "a frame larger than agreed": wire.frame(3, 1, b"x" * 131072), "the head of a frame larger than agreed": b"\x01\x00\x01\x7f\xff\xff\xff",
    "a protocol header": HEADER, "text": b"GET / HTTP/1.1\r\n\r\n",
    "a table with a wrong length": method_of(50, 10, b"\0\0\x01q\0\0\0\xff\xff"),
    "a table with a kind nobody knows": method_of(50, 10, b"\0\0\x01q\0" + wire.table({"a": V("Z", b"x")})),
    "a table nested 3000 deep": method_of(50, 10, b"\0\0\x01q\x04" + wire.table(nested(3000))),
})
def _(t, data):
    ch = t.channel()
    ch.connection.send(data)
    ch.quiet(1.5)


@case("a table nested 200 deep")
def _(t):
    value = 1
    for _ in range(200):
        value = {"n": value}
    ch = t.channel()
    ch.queue(arguments={"own": value})


@each("content out of order:", {
    "another method": [wire.method(1, "queue.declare", queue="q")], "a body first": [wire.body(1, b"x")],
    "a second header": [wire.content_header(1, 5, {}), wire.content_header(1, 5, {})],
    "a method within the body": [wire.content_header(1, 5, {}), wire.body(1, b"ab"), wire.method(1, "channel.flow", active=True)],
    "too much of a body": [wire.content_header(1, 2, {}), wire.body(1, b"abcd")],
    "a body where none was told": [wire.content_header(1, 0, {}), wire.body(1, b"abcd")],
    "another class": [wire.content_header(1, 2, {}, class_id=50)], "a weight": [wire.content_header(1, 1, {}, weight=3), wire.body(1, b"x")],
    "a header cut short": [wire.frame(2, 1, b"\0\x3c\0\0\0\0")],
    "properties cut short": [wire.content_header(1, 0, b"\x80\x00\x09te")],
    "properties and more": [wire.content_header(1, 0, b"\x00\x00more")],
    "unknown flags": [wire.content_header(1, 0, b"\x00\x02")], "a second word of flags": [wire.content_header(1, 0, b"\x00\x01\x00\x00")],
    "a heartbeat between": [wire.frame(8, 0, b""), wire.content_header(1, 1, {}), wire.body(1, b"x")],
    "a closed channel within": [wire.content_header(1, 5, {}), wire.method(1, "channel.close", reply_code=200)],
    "a huge body is told": [wire.content_header(1, 2**63, {})],
    "a body larger than allowed is told": [wire.content_header(1, 600 * 2**20, {})],
})
def _(t, frames):
    ch = t.channel()
    ch.queue()
    ch.send("basic.publish", routing_key=t.q)
    for one in frames:
        ch.connection.send(one)
    ch.quiet(0.3)
    ch.get() if not ch.connection.ended else None


@case("a publisher who never ends a body stops at close")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.send("basic.publish", routing_key=t.q)
    ch.connection.send(wire.content_header(1, 100, {}) + wire.body(1, b"half"))
    ch.connection.drop()
    t.channel().get()


@case("heartbeats come, and silence ends the connection")
def _(t):
    connection = t.connect(tune={"heartbeat": 1})
    connection.wait(0, ["heartbeat"])
    connection.wait(0, ["connection.close"], seconds=8)
    heard = [entry for entry in t.transcript if entry.get("<") != "heartbeat" and entry.get(">") is None]
    connection.inbox = []
    t.transcript[:] = [{"<": "heartbeat"}] + heard


@case("heartbeats keep a connection")
def _(t):
    connection = t.connect(tune={"heartbeat": 1})
    for _ in range(8):
        connection.send(wire.frame(8, 0, b""))
        connection.read(time.monotonic() + 0.5)
        connection.read(time.monotonic() + 0.1)
    connection.inbox = [one for one in connection.inbox if one[1]["<"] != "heartbeat"]
    connection.channel().queue()


@case("any traffic is as good as a heartbeat")
def _(t):
    ch = t.channel(tune={"heartbeat": 1})
    for _ in range(8):
        time.sleep(0.5)
        ch.call("basic.qos", prefetch_count=1)
    ch.connection.inbox = []


@case("half a frame and silence")
def _(t):
    ch = t.channel()
    ch.connection.send(wire.method(1, "queue.declare", queue=t.q)[:9])
    ch.quiet()
    ch.connection.socket.shutdown(socket.SHUT_WR)
    ch.quiet()


@each("a method that closes names itself", {
    "a passive declaration": ("queue.declare", {"passive": True}), "a binding": ("queue.bind", {"exchange": "nobody-made-this"}),
    "a consumer": ("basic.consume", {}), "a deletion": ("exchange.delete", {"exchange": "amq.direct"}),
    "an acknowledgement": ("basic.ack", {"delivery_tag": 9}), "a commit": ("tx.commit", {}),
})
def _(t, method):
    ch = t.channel()
    fields = method[1] | ({"queue": t.q} if method[0].startswith("queue") or method[0] == "basic.consume" else {})
    ch.send(method[0], **fields)
    ch.expect("channel.close")
