"""Arguments of queues: each one with right and wrong values, for each type of queue."""

from wire import V

from cases import case, each


ARGUMENTS = {
    "x-message-ttl": [0, 1, 2**31, V("l", 2**32 - 1), V("l", 2**32), V("l", 2**40), -1, "100", 1.0, None, True],
    "x-expires": [1, 0, -1, "100", V("l", 2**32)],
    "x-max-length": [0, 5, -1, "5", 1.5],
    "x-max-length-bytes": [0, 5, -1, "5"],
    "x-max-priority": [0, 1, 255, 256, -1, "5"],
    "x-overflow": ["drop-head", "reject-publish", "reject-publish-dlx", "other", 5, ""],
    "x-dead-letter-exchange": ["", "amq.fanout", "nowhere", 5],
    "x-dead-letter-routing-key": ["k", 5],
    "x-single-active-consumer": [True, False, "true", 1],
    "x-queue-mode": ["lazy", "default", "other", 5],
    "x-queue-version": [1, 2, 3, 0, "2"],
    "x-queue-type": ["classic", "quorum", "stream", "other", 5, ""],
    "x-consumer-timeout": [10000, 0, -1, "5"],
    "x-queue-master-locator": ["client-local", "min-masters", "other", 5],
    "x-delivery-limit": [5],
    "x-ha-policy": ["all"],
    "x-max-age": ["1h"],
    "x-cancel-on-ha-failover": [True],
    "x-own": [None, [1, "a"], {"b": 1}],
}


def shown(value):
    return f"{value.kind}:{value.value}" if isinstance(value, V) else repr(value)


@each("a queue with", {f"{key} {shown(one)}": (key, one) for key, values in ARGUMENTS.items() for one in values})
def _(t, argument):
    key, value = argument
    arguments = {key: value}
    if key == "x-dead-letter-routing-key":
        arguments["x-dead-letter-exchange"] = ""
    ch = t.channel()
    ch.queue(durable=True, arguments=arguments)
    ch.alive()


@case("a queue with a dead-letter key and no exchange")
def _(t):
    t.channel().queue(arguments={"x-dead-letter-routing-key": "k"})


QUORUM = {
    "plain": {}, "not durable": {"durable": False}, "exclusive": {"exclusive": True},
    "auto-delete": {"auto_delete": True}, "server-named": {"queue": ""},
    "x-max-priority": {"arguments": {"x-max-priority": 5}}, "x-delivery-limit 2": {"arguments": {"x-delivery-limit": 2}},
    "x-delivery-limit -1": {"arguments": {"x-delivery-limit": -1}},
    "x-delivery-limit text": {"arguments": {"x-delivery-limit": "2"}},
    "x-message-ttl": {"arguments": {"x-message-ttl": 1000}}, "x-queue-mode": {"arguments": {"x-queue-mode": "lazy"}},
    "x-overflow reject-publish": {"arguments": {"x-overflow": "reject-publish"}},
    "x-overflow reject-publish-dlx": {"arguments": {"x-overflow": "reject-publish-dlx"}},
    "x-dead-letter-strategy": {"arguments": {"x-dead-letter-strategy": "at-least-once", "x-dead-letter-exchange": "", "x-overflow": "reject-publish"}},
    "x-dead-letter-strategy unknown": {"arguments": {"x-dead-letter-strategy": "other"}},
    "x-quorum-initial-group-size": {"arguments": {"x-quorum-initial-group-size": 1}},
    "x-quorum-initial-group-size 0": {"arguments": {"x-quorum-initial-group-size": 0}},
    "x-max-in-memory-length": {"arguments": {"x-max-in-memory-length": 0}},
    "x-queue-leader-locator": {"arguments": {"x-queue-leader-locator": "balanced"}},
    "x-queue-leader-locator unknown": {"arguments": {"x-queue-leader-locator": "other"}},
    "x-queue-version": {"arguments": {"x-queue-version": 2}},
    "x-single-active-consumer": {"arguments": {"x-single-active-consumer": True}},
}


@each("a quorum queue", QUORUM)
def _(t, options):
    options = {"durable": True} | options
    options["arguments"] = {"x-queue-type": "quorum"} | options.get("arguments", {})
    ch = t.channel()
    if ch.queue(**options)["<"] == "queue.declare-ok" and options.get("queue") is None:
        ch.queue(**options)
        ch.call("queue.delete", queue=t.q)


@each("a stream", {
    "plain": {}, "not durable": {"durable": False}, "exclusive": {"exclusive": True}, "auto-delete": {"auto_delete": True},
    "x-max-age 1h": {"arguments": {"x-max-age": "1h"}}, "x-max-age of an unknown unit": {"arguments": {"x-max-age": "1x"}},
    "x-max-age a number": {"arguments": {"x-max-age": 5}}, "x-max-length-bytes": {"arguments": {"x-max-length-bytes": 10**9}},
    "x-max-length": {"arguments": {"x-max-length": 10}}, "x-message-ttl": {"arguments": {"x-message-ttl": 10}},
    "x-stream-max-segment-size-bytes": {"arguments": {"x-stream-max-segment-size-bytes": 1000000}},
    "x-stream-max-segment-size-bytes too big": {"arguments": {"x-stream-max-segment-size-bytes": V("l", 10**10)}},
    "x-dead-letter-exchange": {"arguments": {"x-dead-letter-exchange": ""}},
    "x-max-priority": {"arguments": {"x-max-priority": 5}}, "x-overflow": {"arguments": {"x-overflow": "drop-head"}},
    "x-initial-cluster-size": {"arguments": {"x-initial-cluster-size": 1}},
})
def _(t, options):
    options = {"durable": True} | options
    options["arguments"] = {"x-queue-type": "stream"} | options.get("arguments", {})
    ch = t.channel()
    if ch.queue(**options)["<"] == "queue.declare-ok":
        ch.call("queue.delete", queue=t.q)
