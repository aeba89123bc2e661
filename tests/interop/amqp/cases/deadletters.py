"""What leaves a queue other than by a consumer: expiry, length limits, rejection, delivery limits; and priorities."""

import time

from wire import V

from cases import case, each


def with_dead(t, key=None, **arguments):
    """A channel, a queue with a dead-letter exchange, and the queue behind that."""
    ch = t.channel()
    dead = t.named("dead")
    ch.exchange("topic")
    ch.queue(dead)
    ch.bind("#", queue=dead)
    durable = arguments.get("x-queue-type") == "quorum"
    arguments = {"x-dead-letter-exchange": t.x} | arguments
    if key:
        arguments["x-dead-letter-routing-key"] = key
    ch.queue(arguments=arguments, durable=durable)
    return ch, dead


def confirmed(ch, queue, *contents, **options):
    ch.call("confirm.select")
    for content in contents:
        ch.put(queue, content, **options)
        ch.expect("basic.ack")


@each("dead letters by", ["reject", "nack", "nack multiple", "expiry of the queue", "expiry of the message", "length"])
@each("quorum dead letters by", {
    one: "quorum " + one for one in ("reject", "nack multiple", "expiry of the queue", "expiry of the message", "length")
})
def _(t, why):
    arguments = {"x-queue-type": "quorum"} if why.startswith("quorum") else {}
    why = why.removeprefix("quorum ")
    if why == "expiry of the queue":
        arguments["x-message-ttl"] = 50
    if why == "length":
        arguments["x-max-length"] = 1
    ch, dead = with_dead(t, **arguments)
    options = {"expiration": "50"} if why == "expiry of the message" else {}
    confirmed(ch, t.q, "1", "2", headers={"own": "h"}, message_id="m", delivery_mode=2, **options)
    if why in ("reject", "nack", "nack multiple"):
        for _ in range(2):
            ch.get_soon(no_ack=False)
        if why == "nack multiple":
            ch.send("basic.nack", delivery_tag=2, multiple=True)
        else:
            ch.send("basic." + why, delivery_tag=1)
            ch.send("basic." + why, delivery_tag=2)
    ch.get_soon(dead)
    if why != "length":
        ch.get_soon(dead)
    ch.get()


@case("dead letters under another key")
def _(t):
    ch, dead = with_dead(t, key="other.key")
    ch.put(t.q, "m", headers={"CC": ["one.copy"]})
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.get_soon(dead)


@case("dead letters keep their copies' keys")
def _(t):
    ch, dead = with_dead(t)
    ch.put(t.q, "m", headers={"CC": ["one.copy"], "BCC": ["two.copy"]})
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.get_soon(dead)


@case("dead letters of what came by an exchange")
def _(t):
    ch, dead = with_dead(t)
    ch.call("queue.bind", queue=t.q, exchange="amq.topic", routing_key=f"{t.q}.*")
    ch.publish("amq.topic", f"{t.q}.x", "m")
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.get_soon(dead)


@case("dead letters without an exchange are gone")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-dead-letter-exchange": "nobody-made-this"})
    ch.put(t.q, "m")
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.alive()
    ch.queue(passive=True)


@case("dead letters twice from one queue")
def _(t):
    ch, dead = with_dead(t, key="k")
    for _ in range(2):
        ch.put(t.q, "m")
        ch.get(no_ack=False)
        ch.send("basic.reject", delivery_tag=1)
        entry = ch.get_soon(dead)
        ch = ch.connection.channel()
    ch.put(t.q, "again", headers={"x-death": V("A", [])}) if entry["<"] is None else None
    ch.alive()


@case("dead letters go in a circle through two queues and are counted")
def _(t):
    ch = t.channel()
    other = t.named("other")
    ch.queue(arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": other})
    ch.queue(other, arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.q, "x-message-ttl": 20})
    ch.put(t.q, "round")
    for tag in (1, 2, 3):
        ch.get_soon(no_ack=False)
        ch.send("basic.reject", delivery_tag=tag)
    ch.get_soon()


@case("dead letters in a circle without a rejection end")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": t.q, "x-message-ttl": 20})
    ch.put(t.q, "m")
    time.sleep(0.3)
    ch.get()


@case("a dead letter may be mandatory and go nowhere")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-dead-letter-exchange": "amq.direct"})
    ch.put(t.q, "m", mandatory=True)
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.quiet(0.1)


@case("a client's own x-death")
def _(t):
    ch, dead = with_dead(t)
    ch.put(t.q, "m", headers={"x-death": [{"queue": "own", "reason": "rejected", "count": V("l", 3)}], "z": 1})
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.get_soon(dead)


@case("a client's x-death that is no list")
def _(t):
    ch, dead = with_dead(t)
    ch.put(t.q, "m", headers={"x-death": "text"})
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1)
    ch.get_soon(dead, seconds=0.5)


@case("a purged queue and a deleted queue make no dead letters")
def _(t):
    ch, dead = with_dead(t)
    ch.put(t.q, "m", "n")
    ch.call("queue.purge", queue=t.q)
    ch.put(t.q, "o")
    ch.call("queue.delete", queue=t.q)
    time.sleep(0.1)
    ch.get(dead)


@each("a message expires", {
    "by its queue": ({"x-message-ttl": 60}, None), "by itself": ({}, "60"), "by the shorter": ({"x-message-ttl": 60}, "60000"),
    "by the shorter, its own": ({"x-message-ttl": 60000}, "60"), "at once by its queue": ({"x-message-ttl": 0}, None),
    "at once by itself": ({}, "0"),
})
def _(t, both):
    ch = t.channel()
    ch.queue(arguments=both[0])
    ch.put(t.q, "m", **({} if both[1] is None else {"expiration": both[1]}))
    time.sleep(0.3)
    ch.get()
    ch.queue(passive=True)


@each("what expires at once is taken by a waiting consumer", {"by its queue": ({"x-message-ttl": 0}, {}), "by itself": ({}, {"expiration": "0"})})
def _(t, both):
    ch = t.channel()
    ch.queue(arguments=both[0])
    ch.consume(no_ack=True)
    ch.put(t.q, "m", **both[1])
    ch.expect("basic.deliver")


@case("a message with a time behind one without waits")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "stays")
    ch.put(t.q, "goes", expiration="30")
    time.sleep(0.2)
    ch.queue(passive=True)
    ch.get()
    ch.get()


@case("what comes back keeps its time")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-message-ttl": 150})
    ch.put(t.q, "m")
    ch.get(no_ack=False)
    time.sleep(0.4)
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    time.sleep(0.1)
    ch.get()


@each("a length of", {
    "2": {"x-max-length": 2}, "0": {"x-max-length": 0}, "10 bytes": {"x-max-length-bytes": 10},
    "2 or 1000 bytes": {"x-max-length": 2, "x-max-length-bytes": 1000}, "0 bytes": {"x-max-length-bytes": 0},
})
def _(t, arguments):
    ch = t.channel()
    ch.queue(arguments=arguments)
    confirmed(ch, t.q, "aaaa", "bbbb", "cccc", "dddd")
    for _ in range(5):
        if ch.get()["<"] == "basic.get-empty":
            break


@case("a length does not count what is unacknowledged")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-max-length": 1})
    confirmed(ch, t.q, "1")
    ch.get(no_ack=False)
    ch.put(t.q, "2")
    ch.expect("basic.ack")
    ch.send("basic.nack", delivery_tag=1, requeue=True)
    time.sleep(0.1)
    ch.get()
    ch.get()


@case("priorities")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-max-priority": 5})
    for content, priority in (("none", None), ("1", 1), ("5", 5), ("9", 9), ("3", 3), ("5 again", 5), ("0", 0)):
        ch.put(t.q, content, **({} if priority is None else {"priority": priority}))
    for _ in range(8):
        ch.get()


@case("priorities and what comes back")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-max-priority": 5})
    for content, priority in (("low 1", 1), ("high", 4), ("low 2", 1)):
        ch.put(t.q, content, priority=priority)
    ch.get(no_ack=False)
    ch.get(no_ack=False)
    ch.send("basic.nack", delivery_tag=2, multiple=True, requeue=True)
    time.sleep(0.1)
    for _ in range(4):
        ch.get()


@case("a full queue of priorities drops the lowest")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-max-priority": 5, "x-max-length": 2})
    ch.call("confirm.select")
    for content, priority in (("high", 5), ("low", 1), ("middle", 3)):
        ch.put(t.q, content, priority=priority)
        ch.expect("basic.ack")
    for _ in range(3):
        ch.get()


QUORUM = {"x-queue-type": "quorum"}


@case("a quorum queue delivers, requeues and counts")
def _(t):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    confirmed(ch, t.q, "1", "2", delivery_mode=2)
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="c")
    for _ in range(3):
        tag = ch.expect("basic.deliver").get("delivery_tag", 0)
        ch.send("basic.nack", delivery_tag=tag, requeue=True)
    tag = ch.expect("basic.deliver").get("delivery_tag", 0)
    ch.send("basic.ack", delivery_tag=tag)
    ch.expect("basic.deliver")


@each("a quorum queue's delivery limit of 2", ["with dead letters", "without them"])
def _(t, how):
    arguments = QUORUM | {"x-delivery-limit": 2}
    if how == "with dead letters":
        ch, dead = with_dead(t, **arguments)
    else:
        ch, dead = t.channel(), None
        ch.queue(durable=True, arguments=arguments)
    confirmed(ch, t.q, "m", delivery_mode=2)
    ch.consume(consumer_tag="c")
    for tag in (1, 2, 3):
        ch.expect("basic.deliver")
        ch.send("basic.reject", delivery_tag=tag, requeue=True)
    ch.get_soon(dead) if dead else ch.quiet()
    ch.count_soon(0)


@case("a quorum queue is got from")
def _(t):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    confirmed(ch, t.q, "1", "2")
    ch.get(no_ack=False)
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    ch.get_soon()
    ch.get_soon()
    ch.get()


@each("a quorum queue refuses", {
    "global prefetch": [("basic.qos", {"prefetch_count": 5, "global": True}), ("basic.consume", {})],
    "exclusive consumers": [("basic.consume", {"exclusive": True})],
    "a stream's offset": [("basic.consume", {"arguments": {"x-stream-offset": "first"}})],
})
def _(t, methods):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    for name, fields in methods:
        ch.call(name, **fields | ({"queue": t.q} if name == "basic.consume" else {}))


@case("a quorum queue that is full rejects")
def _(t):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM | {"x-max-length": 1, "x-overflow": "reject-publish"})
    confirmed(ch, t.q, "1")
    for content in ("2", "3", "4"):
        ch.put(t.q, content)
        ch.expect("basic.ack", "basic.nack")


@case("a quorum queue's consumer is told that it is deleted")
def _(t):
    ch, other = t.channel(), t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    ch.consume(consumer_tag="c")
    other.call("queue.delete", queue=t.q)
    ch.expect("basic.cancel")


@each("a quorum queue deleted", {"if empty": {"if_empty": True}, "if unused": {"if_unused": True}})
def _(t, options):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    ch.call("queue.delete", queue=t.q, **options)


@case("a quorum queue is purged")
def _(t):
    ch = t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    confirmed(ch, t.q, "1", "2")
    ch.call("queue.purge", queue=t.q)
    ch.get()


@case("a quorum queue gives back when a channel closes")
def _(t):
    ch, other = t.channel(), t.channel()
    ch.queue(durable=True, arguments=QUORUM)
    confirmed(ch, t.q, "1", "2")
    ch.consume()
    ch.expect("basic.deliver", count=2)
    ch.call("channel.close", reply_code=200)
    other.get_soon()
    other.get_soon()
