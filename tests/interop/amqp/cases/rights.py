"""Rights of a user who has few, and policies: set up by the management API, felt over AMQP."""

import time

from cases import case, each


def user_with(t, configure="^own-.*", write="^own-.*", read="^own-.*", tags="", **options):
    """A channel of a user of its own with these rights; the queue `q` and the exchange `x` are the administrator's."""
    user = t.named("user").replace(".", "-")
    t.http("PUT", f"users/{user}", {"password": "p", "tags": tags})
    t.later.append(f"users/{user}")
    t.http("PUT", f"permissions/%2F/{user}", {"configure": configure, "write": write, "read": read})
    admin = t.channel()
    admin.queue()
    admin.exchange("topic")
    t.transcript.clear()
    return t.channel(user=user, password="p", **options)


@each("without rights:", {
    "declare a queue": ("queue.declare", {"queue": "$q2"}), "declare an exchange": ("exchange.declare", {"exchange": "$x2", "type": "direct"}),
    "declare a queue passively": ("queue.declare", {"queue": "$q", "passive": True}),
    "declare an exchange passively": ("exchange.declare", {"exchange": "$x", "passive": True, "type": "topic"}),
    "delete a queue": ("queue.delete", {"queue": "$q"}), "delete an exchange": ("exchange.delete", {"exchange": "$x"}),
    "purge": ("queue.purge", {"queue": "$q"}), "consume": ("basic.consume", {"queue": "$q"}), "get": ("basic.get", {"queue": "$q"}),
    "bind a queue": ("queue.bind", {"queue": "$q", "exchange": "$x"}), "unbind a queue": ("queue.unbind", {"queue": "$q", "exchange": "$x"}),
    "bind an exchange": ("exchange.bind", {"destination": "$x", "source": "amq.topic"}),
    "a queue that is not there": ("queue.declare", {"queue": "nobody-made-this", "passive": True}),
    "get from a queue that is not there": ("basic.get", {"queue": "nobody-made-this"}),
    "a server-named queue": ("queue.declare", {"queue": ""}),
})
def _(t, method):
    ch = user_with(t)
    fields = {key: value.replace("$", t.q[:-1]) if isinstance(value, str) else value for key, value in method[1].items()}
    ch.call(method[0], **fields)


@each("without rights, publish to", {"an exchange": "$x", "the default": "", "amq.topic": "amq.topic"})
def _(t, exchange):
    ch = user_with(t)
    ch.publish(exchange.replace("$", t.q[:-1]), "k")
    ch.quiet()


@each("with the right to", {"configure only": {"configure": ".*"}, "write only": {"write": ".*"}, "read only": {"read": ".*"}})
def _(t, rights):
    connection = user_with(t, **rights).connection
    for name, fields in (
        ("queue.declare", {"queue": t.q}), ("queue.bind", {"queue": t.q, "exchange": t.x}), ("basic.get", {"queue": t.q}),
    ):
        connection.channel().call(name, **fields)
    ch = connection.channel()
    ch.publish(t.x, "k")
    ch.quiet(0.1)


@each("dead letters to where one may not write:", {
    "an exchange": {"x-dead-letter-exchange": "amq.fanout"}, "without reading": {"x-dead-letter-exchange": "own-x"},
})
def _(t, arguments):
    ch = user_with(t, read="^nothing$" if arguments["x-dead-letter-exchange"] == "own-x" else "^own-.*")
    ch.call("queue.declare", queue="own-" + t.q, arguments=arguments, exclusive=True)


@case("an alternate to which one may not write")
def _(t):
    ch = user_with(t)
    ch.call(
        "exchange.declare", exchange="own-" + t.x, type="direct", auto_delete=True,
        arguments={"alternate-exchange": "amq.fanout"},
    )


@case("a virtual host without rights")
def _(t):
    user = t.named("user").replace(".", "-")
    t.http("PUT", f"users/{user}", {"password": "p", "tags": ""})
    t.later.append(f"users/{user}")
    t.connect(user=user, password="p")


@case("topic rights")
def _(t):
    ch = user_with(t, write=".*", read=".*", configure=".*")
    user = t.names[-1].replace(".", "-")
    t.http("PUT", f"topic-permissions/%2F/{user}", {"exchange": t.x, "write": "^good", "read": "^good"})
    ch.call("queue.bind", queue=t.q, exchange=t.x, routing_key="good.#")
    ch.call("confirm.select")
    ch.publish(t.x, "good.one", "m")
    ch.expect("basic.ack")
    ch.publish(t.x, "bad.one", "m")
    ch.expect("channel.close", "basic.ack")
    ch.connection.channel().call("queue.bind", queue=t.q, exchange=t.x, routing_key="bad.#")


@case("the user of a message may be another for an impersonator")
def _(t):
    ch = user_with(t, write=".*", read=".*", configure=".*", tags="impersonator")
    ch.put(t.q, "m", user_id="guest")
    ch.get()


@each("a policy with", {
    "a ttl": {"message-ttl": 50}, "a length": {"max-length": 1}, "a dead-letter exchange": {"dead-letter-exchange": "", "dead-letter-routing-key": "$dead"},
    "expiry": {"expires": 100}, "overflow": {"max-length": 1, "overflow": "reject-publish"},
})
def _(t, definition):
    ch = t.channel()
    dead, name = t.named("dead"), t.named("policy")
    ch.queue(dead)
    ch.queue()
    definition = {key: dead if value == "$dead" else value for key, value in definition.items()}
    t.http("PUT", f"policies/%2F/{name}", {"pattern": f"^{t.q}$", "definition": definition, "apply-to": "queues"})
    time.sleep(0.2)
    if "expires" in definition:
        time.sleep(0.4)
        ch.queue(passive=True)
    else:
        ch.call("confirm.select")
        for content in ("1", "2", "3"):
            ch.put(t.q, content)
            ch.expect("basic.ack", "basic.nack")
        time.sleep(0.2)
        ch.get(no_ack=False)
        ch.send("basic.nack", delivery_tag=4, multiple=True) if "message-ttl" in definition else None
        if "dead-letter-exchange" in definition:
            ch.send("basic.reject", delivery_tag=1)
            ch.get_soon(dead)
        ch.count_soon(0, seconds=0.1)
    t.http("DELETE", f"policies/%2F/{name}")


@case("a policy gives an exchange an alternate")
def _(t):
    ch = t.channel()
    other, name = t.named("other"), t.named("policy")
    ch.exchange("direct")
    ch.exchange("fanout", other)
    ch.queue()
    ch.bind(exchange=other)
    definition = {"alternate-exchange": other}
    t.http("PUT", f"policies/%2F/{name}", {"pattern": f"^{t.x}$", "definition": definition, "apply-to": "exchanges"})
    time.sleep(0.2)
    ch.publish(t.x, "k", "m")
    ch.get_soon()
    t.http("DELETE", f"policies/%2F/{name}")
    time.sleep(0.2)
    ch.publish(t.x, "k", "m")
    ch.get()


@case("an argument and a policy: the shorter holds")
def _(t):
    ch = t.channel()
    name = t.named("policy")
    ch.queue(arguments={"x-max-length": 3})
    definition = {"max-length": 2}
    t.http("PUT", f"policies/%2F/{name}", {"pattern": f"^{t.q}$", "definition": definition, "apply-to": "queues"})
    time.sleep(0.2)
    ch.call("confirm.select")
    for content in ("1", "2", "3", "4"):
        ch.put(t.q, content)
        ch.expect("basic.ack")
    ch.queue(passive=True)
    t.http("DELETE", f"policies/%2F/{name}")


@each("a limit of the virtual host:", {"queues": "max-queues", "connections": "max-connections"})
def _(t, limit):
    vhost = t.named("vhost").replace(".", "-")
    t.http("PUT", f"vhosts/{vhost}", {})
    t.later.append(f"vhosts/{vhost}")
    t.http("PUT", f"vhost-limits/{vhost}/{limit}", {"value": 1})
    time.sleep(0.1)
    ch = t.channel(vhost=vhost)
    if limit == "max-queues":
        ch.queue("one")
        ch.queue("two")
    else:
        time.sleep(0.3)
        t.connect(vhost=vhost)


@case("a virtual host is deleted under a connection")
def _(t):
    vhost = t.named("vhost").replace(".", "-")
    t.http("PUT", f"vhosts/{vhost}", {})
    t.later.append(f"vhosts/{vhost}")
    ch = t.channel(vhost=vhost)
    t.http("DELETE", f"vhosts/{vhost}")
    ch.expect("connection.close")


@case("virtual hosts do not see each other")
def _(t):
    vhost = t.named("vhost").replace(".", "-")
    t.http("PUT", f"vhosts/{vhost}", {})
    t.later.append(f"vhosts/{vhost}")
    ch, other = t.channel(), t.channel(vhost=vhost)
    ch.queue()
    other.queue(passive=True)
