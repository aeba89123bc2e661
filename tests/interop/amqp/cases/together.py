"""Several parts at work together: fan-outs, consumers beside each other, errors without waiting, many at once."""

import time

from cases import case, each


@each("without waiting, an error closes the channel:", {
    "an unequal exchange": ("exchange.declare", {"exchange": "amq.direct", "type": "direct"}),
    "an unequal queue": ("queue.declare", {"queue": "$q", "auto_delete": True}),
    "a binding to nothing": ("queue.bind", {"queue": "$q", "exchange": "nobody-made-this"}),
    "a consumer of nothing": ("basic.consume", {"queue": "nobody-made-this"}),
    "a purge of nothing": ("queue.purge", {"queue": "nobody-made-this"}),
    "a deletion of what is not empty": ("queue.delete", {"queue": "$q", "if_empty": True}),
})
def _(t, method):
    ch = t.channel()
    ch.queue()
    ch.put(t.q, "m")
    ch.count_soon(1)
    fields = {key: value.replace("$q", t.q) if isinstance(value, str) else value for key, value in method[1].items()}
    ch.send(method[0], nowait=True, **fields)
    ch.alive()


@case("many messages are confirmed, however many at once")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("confirm.select")
    ch.put(t.q, *(str(at) for at in range(200)))
    before, confirmed = len(t.transcript), set()
    while len(confirmed) < 200:
        ack = ch.expect("basic.ack")
        if ack["<"] != "basic.ack":
            break
        first = min(set(range(1, 201)) - confirmed) if ack["multiple"] else ack["delivery_tag"]
        confirmed |= set(range(first, ack["delivery_tag"] + 1))
    del t.transcript[before:]
    t.note(confirmed=len(confirmed))
    ch.count_soon(200)


@case("a thousand messages come in order")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("basic.qos", prefetch_count=50)
    ch.consume(consumer_tag="c")
    ch.put(t.q, *(str(at) for at in range(1000)))
    before, bodies = len(t.transcript), []
    for _ in range(1000):
        entry = ch.expect("basic.deliver")
        bodies.append(entry.get("body"))
        ch.send("basic.ack", delivery_tag=entry.get("delivery_tag", 0))
    del t.transcript[before:]
    t.note(in_order=bodies == [str(at) for at in range(1000)])


@each("a fan-out to three queues by", ["fanout", "topic", "headers", "direct"])
def _(t, kind):
    ch = t.channel()
    ch.exchange(kind)
    queues = [t.named(one) for one in "abc"]
    for queue in queues:
        ch.queue(queue)
        ch.bind("k", queue=queue)
    ch.publish(t.x, "k", "m", headers={"h": 1})
    for queue in queues:
        ch.get_soon(queue)


@case("a queue reached by two ways has one copy")
def _(t):
    ch = t.channel()
    inner = t.named("inner")
    ch.exchange("fanout")
    ch.exchange("fanout", inner)
    ch.queue()
    ch.bind()
    ch.bind(exchange=inner)
    ch.call("exchange.bind", destination=inner, source=t.x)
    ch.publish(t.x, "", "m")
    ch.get()
    ch.get()


@case("what one consumer gives back another may have")
def _(t):
    ch, other = t.channel(), t.channel()
    ch.queue()
    for one, tag in ((ch, "a"), (other, "b")):
        one.call("basic.qos", prefetch_count=1)
        one.consume(t.q, consumer_tag=tag)
    ch.put(t.q, "1", "2")
    ch.expect("basic.deliver")
    other.expect("basic.deliver")
    ch.call("basic.cancel", consumer_tag="a")
    ch.send("basic.reject", delivery_tag=1, requeue=True)
    other.send("basic.ack", delivery_tag=1)
    other.expect("basic.deliver")


@case("a dropped consumer's messages go to the next in their order")
def _(t):
    ch, other = t.channel(), t.channel()
    ch.queue()
    ch.call("basic.qos", prefetch_count=3)
    ch.consume()
    ch.put(t.q, "1", "2", "3", "4")
    ch.expect("basic.deliver", count=3)
    other.consume(t.q)
    other.expect("basic.deliver")
    ch.connection.drop()
    other.expect("basic.deliver", count=3)


@case("a full consumer is passed over")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("basic.qos", prefetch_count=1)
    ch.consume(consumer_tag="one at a time")
    ch.call("basic.qos", prefetch_count=3)
    ch.consume(consumer_tag="three")
    for at in range(4):
        ch.put(t.q, str(at))
        ch.expect("basic.deliver")
    ch.put(t.q, "5")
    ch.quiet()


@case("an acknowledgement of many makes room for many")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.call("basic.qos", prefetch_count=3)
    ch.put(t.q, *"1234567")
    ch.consume(consumer_tag="c")
    ch.expect("basic.deliver", count=3)
    ch.send("basic.ack", delivery_tag=3, multiple=True)
    ch.expect("basic.deliver", count=3)
    ch.quiet()


@case("a channel is closed twice")
def _(t):
    ch = t.channel()
    ch.call("channel.close", reply_code=200)
    ch.connection.method(1, "channel.close", reply_code=200)
    ch.connection.wait(1, ["channel.close-ok"], seconds=1)


@case("what is got without acknowledgement is gone")
def _(t):
    ch, other = t.channel(), t.channel()
    ch.queue()
    ch.put(t.q, "m")
    ch.get()
    ch.connection.drop()
    time.sleep(0.1)
    other.get()


@case("a queue that expires makes no dead letters")
def _(t):
    ch = t.channel()
    dead = t.named("dead")
    ch.queue(dead)
    ch.queue(arguments={"x-expires": 100, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    ch.put(t.q, "m")
    time.sleep(0.5)
    ch.get(dead)


@case("what expires at once is a dead letter at once")
def _(t):
    ch = t.channel()
    dead = t.named("dead")
    ch.queue(dead)
    ch.queue(arguments={"x-message-ttl": 0, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
    ch.put(t.q, "m")
    ch.get_soon(dead)


@case("a dead letter goes on through a second queue")
def _(t):
    ch = t.channel()
    second, last = t.named("second"), t.named("last")
    ch.queue(arguments={"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second})
    ch.queue(second, arguments={"x-message-ttl": 30, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": last})
    ch.queue(last)
    ch.put(t.q, "m", expiration="60000")
    ch.get(no_ack=False)
    ch.send("basic.nack", delivery_tag=1)
    ch.get_soon(last)


@case("a quorum queue's messages expire one after another")
def _(t):
    ch = t.channel()
    ch.queue(durable=True, arguments={"x-queue-type": "quorum", "x-message-ttl": 200})
    ch.call("confirm.select")
    for content in "12":
        ch.put(t.q, content)
        ch.expect("basic.ack")
    ch.count_soon(0)


@case("a consumer of a queue that is declared again")
def _(t):
    ch = t.channel()
    ch.queue()
    ch.consume(consumer_tag="c", no_ack=True)
    ch.queue()
    ch.put(t.q, "m")
    ch.expect("basic.deliver")
    ch.call("queue.delete", queue=t.q)
    ch.expect("basic.cancel")
    ch.queue()
    ch.consume(consumer_tag="c", no_ack=True)
    ch.put(t.q, "n")
    ch.expect("basic.deliver")


@case("a single active consumer of a higher priority waits for its turn")
def _(t):
    ch = t.channel()
    ch.queue(arguments={"x-single-active-consumer": True})
    ch.consume(consumer_tag="low", no_ack=True)
    ch.consume(consumer_tag="high", no_ack=True, arguments={"x-priority": 5})
    ch.put(t.q, "1")
    ch.expect("basic.deliver")
    ch.call("basic.cancel", consumer_tag="low")
    ch.put(t.q, "2")
    ch.expect("basic.deliver")


@case("a name of the server's kind cannot be chosen")
def _(t):
    ch = t.channel()
    ch.queue("amq.gen-chosen", passive=True)
    t.channel().queue("amq.gen-chosen")


@case("work goes on after each error on a new channel")
def _(t):
    connection = t.connect()
    for _ in range(3):
        connection.channel().queue(passive=True)
    ch = connection.channel()
    ch.queue()
    ch.put(t.q, "m")
    ch.get()
