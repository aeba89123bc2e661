"""Queues: declaring, arguments, equivalence, exclusivity, binding, purging, deleting."""

import time

from wire import V

from cases import case, each


@each("declare a queue", {
    "plain": {}, "durable": {"durable": True}, "exclusive": {"exclusive": True}, "auto-delete": {"auto_delete": True},
    "durable and exclusive": {"durable": True, "exclusive": True},
    "durable and auto-delete": {"durable": True, "auto_delete": True},
    "all of them": {"durable": True, "exclusive": True, "auto_delete": True},
})
def _(t, options):
    ch = t.channel()
    ch.queue(**options)
    ch.queue(**options)
    ch.queue(passive=True)
    ch.put(t.q, "a", "b")
    ch.count_soon(2)
    ch.call("queue.delete", queue=t.q)


@each("declare a queue again with another", {
    "durable": {"durable": True}, "exclusive": {"exclusive": True}, "auto_delete": {"auto_delete": True},
    "x-message-ttl": {"arguments": {"x-message-ttl": 1000}}, "x-expires": {"arguments": {"x-expires": 100000}},
    "x-max-length": {"arguments": {"x-max-length": 10}}, "x-max-priority": {"arguments": {"x-max-priority": 5}},
    "x-queue-type": {"durable": True, "arguments": {"x-queue-type": "quorum"}},
    "x-queue-mode": {"arguments": {"x-queue-mode": "lazy"}},
    "x-queue-version": {"arguments": {"x-queue-version": 2}},
    "x-overflow": {"arguments": {"x-overflow": "reject-publish"}},
    "x-single-active-consumer": {"arguments": {"x-single-active-consumer": True}},
    "x-dead-letter-exchange": {"arguments": {"x-dead-letter-exchange": "amq.fanout"}},
    "unknown argument": {"arguments": {"x-own": 1}},
    "x-queue-type classic": {"arguments": {"x-queue-type": "classic"}},
})
def _(t, options):
    ch = t.channel()
    ch.queue()
    ch.queue(**options)


@case("an exclusive queue is as durable as its connection")
def _(t):
    ch = t.channel()
    ch.queue(exclusive=True)
    ch.queue(exclusive=True, durable=True)


@each("declare a queue again", {
    "with the same ttl of another width": ({"x-message-ttl": V("b", 100)}, {"x-message-ttl": V("l", 100)}),
    "with another ttl": ({"x-message-ttl": 60000}, {"x-message-ttl": 60001}),
    "without its ttl": ({"x-message-ttl": 60000}, {}),
    "with its ttl as text": ({"x-message-ttl": 60000}, {"x-message-ttl": "60000"}),
    "with another overflow": ({"x-overflow": "drop-head"}, {"x-overflow": "reject-publish"}),
    "without its own argument": ({"x-own": 1}, {}),
    "without its dead-letter exchange": ({"x-dead-letter-exchange": "a"}, {}),
    "with another dead-letter key": (
        {"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": "k"},
        {"x-dead-letter-exchange": "a", "x-dead-letter-routing-key": "l"},
    ),
})
def _(t, both):
    ch = t.channel()
    ch.queue(arguments=both[0])
    ch.queue(arguments=both[1])


@case("declare a queue that the server names")
def _(t):
    ch = t.channel()
    ch.queue("", exclusive=True)
    ch.queue("", passive=True)
    ch.put("", "to the last declared")
    ch.call("queue.bind", queue="", exchange="amq.fanout")
    ch.consume("", no_ack=True)
    ch.call("queue.purge", queue="")
    ch.call("queue.delete", queue="")
    ch.call("queue.purge", queue="")


@each("no queue was declared, and", {
    "bind": ("queue.bind", {"exchange": "amq.fanout"}), "unbind": ("queue.unbind", {"exchange": "amq.fanout"}),
    "purge": ("queue.purge", {}), "delete": ("queue.delete", {}), "consume": ("basic.consume", {}),
    "get": ("basic.get", {}), "declare passively": ("queue.declare", {"passive": True}),
})
def _(t, method):
    t.channel().call(method[0], queue="", **method[1])


@case("an empty routing key with an empty queue is the last declared queue")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.exchange()
    ch.call("queue.bind", queue="", exchange=t.x, routing_key="")
    ch.publish(t.x, t.q, "by name")
    ch.publish(t.x, "", "by nothing")
    ch.get()
    ch.get()


@each("a queue's name", {
    "reserved": "amq.own", "UTF-8": "Größe-ß-日本", "spaces": "a b", "a line's end": "a\nb", "255 bytes": "q" * 255,
    "no UTF-8": b"\xff\xfe",
})
def _(t, name):
    ch = t.channel()
    if ch.queue(name)["<"] == "queue.declare-ok":
        ch.call("queue.delete", queue=name)


@case("declare a reserved queue passively")
def _(t):
    t.channel().queue("amq.own", passive=True)


@case("declare a queue passively that is not there")
def _(t):
    t.channel().queue(passive=True)


@case("declare a queue passively with other options")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.queue(passive=True, durable=True, auto_delete=True, arguments={"x-max-length": 5})


@case("declare a queue without waiting")
def _(t):
    ch = t.channel()
    ch.send("queue.declare", queue=t.q, nowait=True)
    ch.queue(passive=True)
    ch.send("queue.purge", queue=t.q, nowait=True)
    ch.send("queue.bind", queue=t.q, exchange="amq.direct", routing_key=t.q, nowait=True)
    ch.publish("amq.direct", t.q)
    ch.get()
    ch.send("queue.delete", queue=t.q, nowait=True)
    ch.queue(passive=True)


@each("another's exclusive queue:", {
    "declare": ("queue.declare", {}), "declare exclusive": ("queue.declare", {"exclusive": True}),
    "declare passively": ("queue.declare", {"passive": True}), "consume": ("basic.consume", {}), "get": ("basic.get", {}),
    "purge": ("queue.purge", {}), "delete": ("queue.delete", {}), "bind": ("queue.bind", {"exchange": "amq.fanout"}),
    "unbind": ("queue.unbind", {"exchange": "amq.fanout"}),
})
def _(t, method):
    t.channel().queue(exclusive=True)
    t.channel().call(method[0], queue=t.q, **method[1])


@case("another's exclusive queue: publish")
def _(t):
    owner, other = t.channel(), t.channel()
    owner.queue(exclusive=True)
    other.call("confirm.select")
    other.put(t.q, "hello", mandatory=True)
    other.expect("basic.ack")
    owner.get()


@case("an exclusive queue goes with its connection")
def _(t):
    owner, other = t.channel(), t.channel()
    owner.queue(exclusive=True)
    owner.connection.drop()
    time.sleep(0.3)
    other.queue(passive=True)


@case("an exclusive queue stays when its channel goes")
def _(t):
    ch = t.channel()
    ch.queue(exclusive=True)
    ch.call("channel.close", reply_code=200)
    ch.connection.channel().queue(passive=True)


@each("an auto-delete queue goes", ["by cancel", "by closing the channel", "by closing the connection"])
def _(t, how):
    watcher, ch = t.channel(), t.channel()
    ch.queue(auto_delete=True)
    ch.consume(consumer_tag="c")
    if how == "by cancel":
        ch.call("basic.cancel", consumer_tag="c")
    elif how == "by closing the channel":
        ch.call("channel.close", reply_code=200)
    else:
        ch.connection.drop()
    time.sleep(0.3)
    watcher.queue(passive=True)


@case("an auto-delete queue without a consumer stays")
def _(t):
    ch = t.channel()
    ch.queue(auto_delete=True)
    ch.put(t.q, "a")
    ch.get()
    ch.queue(passive=True)


@case("an auto-delete queue stays while one consumer is left")
def _(t):
    ch = t.channel()
    ch.queue(auto_delete=True)
    ch.consume(consumer_tag="a")
    ch.consume(consumer_tag="b")
    ch.call("basic.cancel", consumer_tag="a")
    ch.queue(passive=True)


@each("bind a queue where", {
    "there is no queue": {"queue": "nobody-made-this", "exchange": "amq.fanout"},
    "there is no exchange": {"exchange": "nobody-made-this"},
    "there is neither": {"queue": "nobody-made-this", "exchange": "nor-this"},
    "the exchange is the default": {"exchange": ""}, "the exchange is internal": {"exchange": "amq.rabbitmq.trace"},
    "the key is long": {"exchange": "amq.direct", "routing_key": "k" * 255},
})
def _(t, binding):
    ch = t.channel()
    ch.queue()
    ch.call("queue.bind", **{"queue": t.q} | binding)


@each("unbind a queue where", {
    "there is no queue": {"queue": "nobody-made-this", "exchange": "amq.fanout"},
    "there is no exchange": {"exchange": "nobody-made-this"},
    "there is no binding": {"exchange": "amq.fanout"}, "the exchange is the default": {"exchange": ""},
})
def _(t, binding):
    ch = t.channel()
    ch.queue()
    ch.call("queue.unbind", **{"queue": t.q} | binding)


@case("bind a queue twice")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.exchange("fanout")
    ch.bind("a")
    ch.bind("a")
    ch.call("queue.unbind", queue=t.q, exchange=t.x, routing_key="a")
    ch.publish(t.x, "a")
    ch.get()


@case("bind a durable exchange to a transient queue")
def _(t):
    ch = t.channel()
    ch.exchange("fanout", durable=True)
    ch.queue()
    ch.bind()
    ch.publish(t.x, "")
    ch.get()


@case("purge counts what was ready")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "a", "b", "c")
    ch.get(no_ack=False)
    ch.call("queue.purge", queue=t.q)
    ch.queue(passive=True)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    ch.get()


@each("of a queue that is not there:", {
    "purge": ("queue.purge", {}), "delete": ("queue.delete", {}), "delete if unused": ("queue.delete", {"if_unused": True}),
    "consume": ("basic.consume", {}), "get": ("basic.get", {}),
})
def _(t, method):
    t.channel().call(method[0], queue=t.q, **method[1])


@each("delete a queue", {
    "with messages": {}, "if empty": {"if_empty": True}, "if unused": {"if_unused": True},
    "if both": {"if_empty": True, "if_unused": True},
})
def _(t, options):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "a", "b")
    ch.call("queue.delete", queue=t.q, **options)
    ch.queue(passive=True)


@each("delete a queue with a consumer", {
    "at all": {}, "if empty": {"if_empty": True}, "if unused": {"if_unused": True},
    "if both": {"if_empty": True, "if_unused": True},
})
def _(t, options):
    ch = t.channel()
    ch.queue()
    ch.consume(consumer_tag="c")
    ch.call("queue.delete", queue=t.q, **options)
    ch.quiet()


@case("delete a queue whose messages are all unacknowledged, if empty")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "a")
    ch.get(no_ack=False)
    ch.call("queue.delete", queue=t.q, if_empty=True)


@case("a queue expires")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-expires": 150})
    time.sleep(0.6)
    ch.queue(passive=True)


@case("a queue with a consumer does not expire")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-expires": 150})
    ch.consume()
    time.sleep(0.6)
    ch.queue(passive=True)


@each("a queue in use does not expire by", ["get", "declare"])
def _(t, how):
    ch = t.channel()
    arguments = {"x-expires": 500}
    ch.queue(arguments=arguments)
    for _ in range(5):
        time.sleep(0.2)
        ch.get() if how == "get" else ch.queue(arguments=arguments)


@case("a deleted queue leaves its bindings")
def _(t):
    ch = t.channel()
    ch.exchange("fanout")
    ch.queue()
    ch.bind()
    ch.call("queue.delete", queue=t.q)
    ch.queue()
    ch.publish(t.x, "")
    ch.get()
