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


@case("confirms")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("confirm.select")
    ch.call("confirm.select")
    for at in range(3):
        ch.put(t.q, str(at), delivery_mode=2)
        ch.expect("basic.ack")


@case("confirms count from the selection")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "before")
    ch.send("confirm.select", nowait=True)
    ch.put(t.q, "after")
    ch.expect("basic.ack")


@case("a confirm of what goes nowhere")
def _(t):
    ch = t.channel()
    ch.call("confirm.select")
    ch.publish("amq.direct", "nobody")
    ch.expect("basic.ack")


@case("a return comes before its confirm")
def _(t):
    ch = t.channel()
    ch.call("confirm.select")
    ch.publish("amq.direct", "nobody", mandatory=True)
    ch.expect("basic.return", "basic.ack", count=2)


@each("a full queue", ["reject-publish", "reject-publish-dlx", "drop-head"])
def _(t, overflow):
    ch = t.channel()
    dead = t.named("dead")
    ch.queue(dead)
    arguments = {"x-max-length": 1, "x-overflow": overflow, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead}
    ch.queue(arguments=arguments)
    ch.call("confirm.select")
    for content in ("1", "2", "3"):
        ch.put(t.q, content)
        ch.expect("basic.ack", "basic.nack")
    ch.get()
    ch.get()
    ch.get(dead)
    ch.get(dead)


@case("a full queue rejects without confirms")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    ch.put(t.q, "1", "2")
    ch.quiet(0.1)
    ch.get()
    ch.get()


@case("one full queue of two nacks")
def _(t):
    ch = t.channel()
    other = t.named("other")
    ch.exchange("fanout")
    ch.queue(arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
    ch.queue(other)
    ch.bind()
    ch.bind(queue=other)
    ch.call("confirm.select")
    ch.publish(t.x, "", "m")
    ch.expect("basic.ack", "basic.nack")
    ch.get(other)


@case("confirms after tx")
def _(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.call("confirm.select")


@case("tx after confirms")
def _(t):
    ch = t.channel()
    ch.call("confirm.select")
    ch.call("tx.select")


@each("without tx.select:", ["tx.commit", "tx.rollback"])
def _(t, name):
    t.channel().call(name)


@each("a transaction", ["tx.commit", "tx.rollback"])
def _(t, end):
    ch, other = t.channel(), t.channel()
    ch.queue()
    ch.call("tx.select")
    ch.call("tx.select")
    ch.put(t.q, "1", "2")
    other.get()
    ch.call(end)
    other.get_soon(seconds=0.2)
    other.get()


@each("acknowledgements in a transaction", ["tx.commit", "tx.rollback", "the channel closes"])
def _(t, end):
    ch, other = t.channel(), t.channel()
    ch.queue()
    ch.put(t.q, "1", "2", "3")
    ch.call("tx.select")
    for _ in range(3):
        ch.get(no_ack=False)
    ch.send("basic.ack", delivery_tag=1)
    ch.send("basic.reject", delivery_tag=2, requeue=True)
    ch.call("channel.close", reply_code=200) if end.startswith("the") else ch.call(end)
    for _ in range(4):
        if other.get_soon(seconds=0.2)["<"] == "basic.get-empty":
            break
    if not end.startswith("the"):
        ch.send("basic.ack", delivery_tag=3)
        ch.call("tx.commit")
        ch.send("basic.ack", delivery_tag=1)
        ch.call("tx.commit")


@case("a transaction with a message that is returned")
def _(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.publish("", "nobody", "m", mandatory=True)
    ch.quiet(0.1)
    ch.call("tx.commit")
    ch.expect("basic.return")


@case("a transaction with an unknown tag fails when it is sent")
def _(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.send("basic.ack", delivery_tag=5)
    ch.call("tx.commit")


@case("a transaction publishes to an exchange that is not there")
def _(t):
    ch = t.channel()
    ch.call("tx.select")
    ch.publish("nobody-made-this", "k")
    ch.call("tx.commit")


@each("copies by", {
    "CC": {"CC": ["{b}"]}, "BCC": {"BCC": ["{b}"]}, "both": {"CC": ["{b}"], "BCC": ["{c}"], "own": 1},
    "CC twice the same": {"CC": ["{b}", "{b}", "{a}"]}, "CC as text": {"CC": "{b}"}, "CC of numbers": {"CC": [5]},
    "BCC as text": {"BCC": "{b}"}, "an empty CC": {"CC": []}, "CC in small letters": {"cc": ["{b}"]},
})
def _(t, headers):
    ch = t.channel()
    names = {key: t.named(key) for key in "abc"}

    def filled(value):
        return [filled(one) for one in value] if isinstance(value, list) else (
            value.format(**names) if isinstance(value, str) else value
        )

    for name in names.values():
        ch.queue(name)
    ch.publish("", names["a"], "m", headers={key: filled(value) for key, value in headers.items()})
    for name in names.values():
        ch.get(name)
        ch.get(name)


@case("a mandatory message whose copies are routed is not returned")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("confirm.select")
    ch.publish("", "nobody", "m", mandatory=True, headers={"CC": [t.q]})
    ch.expect("basic.return", "basic.ack")
    ch.get()


@each("direct reply-to", {"plain": {}, "mandatory": {"mandatory": True}})
def _(t, options):
    client, server = t.channel(), t.channel()
    server.queue()
    client.consume("amq.rabbitmq.reply-to", no_ack=True, consumer_tag="replies")
    client.put(t.q, "question", reply_to="amq.rabbitmq.reply-to", correlation_id="7")
    address = server.get_soon()["props"]["reply_to"]
    server.queue(address, passive=True)
    server.publish("", address, "answer", correlation_id="7", **options)
    client.expect("basic.deliver")
    server.quiet(0.1)


@each("direct reply-to:", {
    "consume with acknowledgements": [("basic.consume", {"no_ack": False})],
    "consume twice": [("basic.consume", {"no_ack": True}), ("basic.consume", {"no_ack": True})],
    "consume exclusive": [("basic.consume", {"no_ack": True, "exclusive": True})],
    "get": [("basic.get", {"no_ack": True})], "declare": [("queue.declare", {})],
    "declare passively": [("queue.declare", {"passive": True})], "delete": [("queue.delete", {})],
    "purge": [("queue.purge", {})], "bind": [("queue.bind", {"exchange": "amq.fanout"})],
})
def _(t, methods):
    ch = t.channel()
    for name, fields in methods:
        ch.call(name, queue="amq.rabbitmq.reply-to", **fields)


@case("direct reply-to: publish without consuming")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "q", reply_to="amq.rabbitmq.reply-to")
    ch.alive()


@case("direct reply-to: cancel and consume again")
def _(t):
    ch = t.channel()
    ch.consume("amq.rabbitmq.reply-to", no_ack=True, consumer_tag="a")
    ch.call("basic.cancel", consumer_tag="a")
    ch.consume("amq.rabbitmq.reply-to", no_ack=True, consumer_tag="b")


@case("direct reply-to: an address that nobody has")
def _(t):
    ch = t.channel()
    ch.publish("", "amq.rabbitmq.reply-to.nobody", "m", mandatory=True)
    ch.expect("basic.return")
    ch.queue("amq.rabbitmq.reply-to.nobody", passive=True)
