"""Exchanges: declaring, equivalence, deleting, bindings between them, alternates, and where each type sends."""

from cases import case, each

TYPES = ["direct", "fanout", "topic", "headers"]


@each("declare an exchange", TYPES)
def _(t, kind):
    ch = t.channel()
    ch.exchange(kind)
    ch.exchange(kind)
    ch.exchange(kind, passive=True)
    ch.call("exchange.delete", exchange=t.x)


@each("declare an exchange with", {
    "durable": {"durable": True}, "auto-delete": {"auto_delete": True}, "internal": {"internal": True},
    "an unknown argument": {"arguments": {"x-own": "1"}},
    "an alternate that is not there": {"arguments": {"alternate-exchange": "nowhere"}},
    "an alternate of the wrong type": {"arguments": {"alternate-exchange": 5}},
    "a type in capitals": {"type": "DIRECT"}, "an unknown type": {"type": "weird"}, "an empty type": {"type": ""},
    "an x- type nobody has": {"type": "x-nothing"},
    "a nested table": {"arguments": {"a": {"b": [1, "c", None, True, 1.5]}}},
})
def _(t, options):
    ch = t.channel()
    options = dict(options)
    ch.exchange(options.pop("type", "direct"), **options)
    ch.exchange("direct", passive=True)


@each("declare an exchange again with another", {
    "type": {"kind": "fanout"}, "durable": {"durable": True}, "auto_delete": {"auto_delete": True},
    "internal": {"internal": True}, "unknown argument": {"arguments": {"x-own": 1}},
    "alternate": {"arguments": {"alternate-exchange": "amq.fanout"}},
})
def _(t, options):
    ch = t.channel()
    ch.exchange("direct")
    ch.exchange(**{"kind": "direct"} | options)


@case("declare an exchange again without its alternate")
def _(t):
    ch = t.channel()
    ch.exchange("direct", arguments={"alternate-exchange": "amq.fanout"})
    ch.exchange("direct")


@each("declare the reserved exchange", ["amq.direct", "amq.fanout", "amq.topic", "amq.headers", "amq.match"])
def _(t, name):
    kind = {"amq.match": "headers"}.get(name, name[4:])
    ch = t.channel()
    ch.exchange(kind, name, durable=True)
    ch.exchange(kind, name, passive=True)
    ch.exchange(kind, name)


@case("declare amq.rabbitmq.trace")
def _(t):
    t.channel().exchange("topic", "amq.rabbitmq.trace", durable=True, internal=True)


@case("declare an exchange with a reserved name")
def _(t):
    t.channel().exchange("direct", "amq.own")


@case("declare an exchange passively with a reserved name that is not there")
def _(t):
    t.channel().exchange("direct", "amq.own", passive=True)


@case("declare an exchange passively that is not there")
def _(t):
    t.channel().exchange("direct", passive=True)


@case("declare an exchange passively with another type")
def _(t):
    ch = t.channel()
    ch.exchange("direct")
    ch.exchange("topic", passive=True)
    ch.exchange("weird", passive=True)


@case("declare the default exchange")
def _(t):
    t.channel().call("exchange.declare", exchange="", type="direct", durable=True)


@case("declare the default exchange passively")
def _(t):
    t.channel().call("exchange.declare", exchange="", type="direct", passive=True)


@case("declare an exchange without waiting")
def _(t):
    ch = t.channel()
    ch.send("exchange.declare", exchange=t.x, type="fanout", nowait=True)
    ch.exchange("fanout", passive=True)
    ch.send("exchange.delete", exchange=t.x, nowait=True)
    ch.exchange("fanout", passive=True)


@each("an exchange's name", {
    "spaces": "a name with spaces", "a line's end": "bad\nname", "a line's end at its end": "bad\r\n", "UTF-8": "Größe-ß-日本",
    "slashes": "a/b%2F", "255 bytes": "n" * 255, "no UTF-8": b"\xff\xfe",
})
def _(t, name):
    ch = t.channel()
    if ch.call("exchange.declare", exchange=name, type="fanout")["<"] == "exchange.declare-ok":
        ch.call("exchange.delete", exchange=name.strip() if isinstance(name, str) else name)


@each("delete the exchange", ["", "amq.direct", "amq.rabbitmq.trace", "amq.own", "nobody-made-this"])
def _(t, name):
    t.channel().call("exchange.delete", exchange=name)


@case("delete an exchange if it is unused")
def _(t):
    ch = t.channel()
    ch.exchange()
    ch.queue()
    ch.bind()
    ch.call("exchange.delete", exchange=t.x, if_unused=True)
    ch = t.channel()
    ch.call("queue.unbind", queue=t.q, exchange=t.x)
    ch.call("exchange.delete", exchange=t.x, if_unused=True)
    ch.exchange(passive=True)


@case("an exchange that is only a destination is not in use")
def _(t):
    ch = t.channel()
    ch.exchange()
    ch.call("exchange.bind", destination=t.x, source="amq.fanout")
    ch.call("exchange.delete", exchange=t.x, if_unused=True)


@case("an auto-delete exchange goes with its last binding")
def _(t):
    ch = t.channel()
    ch.exchange(auto_delete=True)
    ch.queue()
    ch.bind("a")
    ch.bind("b")
    ch.call("queue.unbind", queue=t.q, exchange=t.x, routing_key="a")
    ch.exchange(passive=True, auto_delete=True)
    ch.call("queue.unbind", queue=t.q, exchange=t.x, routing_key="b")
    ch.exchange(passive=True, auto_delete=True)


@case("an auto-delete exchange goes with its last queue")
def _(t):
    ch = t.channel()
    ch.exchange(auto_delete=True)
    ch.queue()
    ch.bind("a")
    ch.call("queue.delete", queue=t.q)
    ch.exchange(passive=True)


@case("an auto-delete exchange stays when it is bound to others")
def _(t):
    ch = t.channel()
    ch.exchange(auto_delete=True)
    ch.call("exchange.bind", destination=t.x, source="amq.fanout")
    ch.call("exchange.unbind", destination=t.x, source="amq.fanout")
    ch.exchange(passive=True)


@case("auto-delete exchanges go one after another")
def _(t):
    ch = t.channel()
    end = t.named("end")
    ch.exchange(auto_delete=True)
    ch.exchange("fanout", end, auto_delete=True)
    ch.queue()
    ch.call("exchange.bind", destination=end, source=t.x)
    ch.bind(exchange=end)
    ch.call("queue.delete", queue=t.q)
    ch.exchange(passive=True)


@case("publish to an internal exchange")
def _(t):
    ch = t.channel()
    ch.exchange("fanout", internal=True)
    ch.publish(t.x, "k")
    ch.expect("channel.close")


@case("an internal exchange routes what another sends it")
def _(t):
    ch = t.channel()
    outer = t.named("outer")
    ch.exchange("fanout", internal=True)
    ch.exchange("fanout", outer)
    ch.queue()
    ch.bind()
    ch.call("exchange.bind", destination=t.x, source=outer)
    ch.publish(outer, "k")
    ch.get()


@each("bind exchanges, and then", ["route", "unbind", "bind twice", "unbind what is not", "source is gone"])
def _(t, then):
    ch = t.channel()
    source = t.named("source")
    ch.exchange("topic", source)
    ch.exchange("fanout")
    ch.queue()
    ch.bind()
    binding = {"destination": t.x, "source": source, "routing_key": "a.*"}
    ch.call("exchange.bind", **binding)
    if then == "bind twice":
        ch.call("exchange.bind", **binding)
    if then == "unbind":
        ch.call("exchange.unbind", **binding)
    if then == "unbind what is not":
        ch.call("exchange.unbind", **binding | {"routing_key": "other"})
    if then == "source is gone":
        ch.call("exchange.delete", exchange=source)
        ch.exchange("topic", source)
    ch.publish(source, "a.b", "one")
    ch.publish(source, "b.b", "two")
    ch.get()
    ch.get()


@case("exchanges bound in a circle route once")
def _(t):
    ch = t.channel()
    other = t.named("other")
    ch.exchange("fanout")
    ch.exchange("fanout", other)
    ch.queue()
    ch.call("exchange.bind", destination=other, source=t.x)
    ch.call("exchange.bind", destination=t.x, source=other)
    ch.call("exchange.bind", destination=t.x, source=t.x)
    ch.bind()
    ch.bind(exchange=other)
    ch.publish(t.x, "", "once")
    ch.get()
    ch.get()


@each("bind exchanges where", {
    "no destination": {"destination": "nobody-made-this", "source": "amq.fanout"},
    "no source": {"destination": "amq.fanout", "source": "nobody-made-this"},
    "the destination is the default": {"destination": "", "source": "amq.fanout"},
    "the source is the default": {"destination": "amq.fanout", "source": ""},
})
@each("unbind exchanges where", {
    "no destination": {"destination": "nobody-made-this", "source": "amq.fanout", "un": True},
    "no source": {"destination": "amq.fanout", "source": "nobody-made-this", "un": True},
    "the source is the default": {"destination": "amq.fanout", "source": "", "un": True},
})
def _(t, binding):
    binding = dict(binding)
    t.channel().call("exchange.unbind" if binding.pop("un", False) else "exchange.bind", **binding)


@case("bind exchanges without waiting")
def _(t):
    ch = t.channel()
    ch.exchange("fanout")
    ch.queue()
    ch.bind()
    ch.send("exchange.bind", destination=t.x, source="amq.direct", routing_key=t.q, nowait=True)
    ch.publish("amq.direct", t.q)
    ch.get()
    ch.send("exchange.unbind", destination=t.x, source="amq.direct", routing_key=t.q, nowait=True)
    ch.publish("amq.direct", t.q)
    ch.get()
