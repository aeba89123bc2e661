"""Confirms, returns and transactions; copies by CC and BCC; direct reply-to."""

from cases import case, each


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
