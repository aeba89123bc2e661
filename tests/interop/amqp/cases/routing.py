"""Where each type of exchange sends, and alternate exchanges."""

from wire import V

from cases import case, each


ROUTES = {
    "direct": ("direct", ["a", "a.b", ""], ["a", "a.b", "", "b"]),
    "fanout": ("fanout", ["a", "b"], ["", "zzz"]),
    "topic star": ("topic", ["a.*.c"], ["a.b.c", "a..c", "a.c", "a.b.b.c", ".b.c"]),
    "topic hash": ("topic", ["a.#"], ["a", "a.", "a.b.c", "ab", "b.a"]),
    "topic hash in the middle": ("topic", ["a.#.c"], ["a.c", "a.b.c", "a.b.b.c", "a.c.b", "c"]),
    "topic hash alone": ("topic", ["#"], ["", "a", "a.b", "...."]),
    "topic star alone": ("topic", ["*"], ["", "a", "a.b"]),
    "topic hash twice": ("topic", ["#.b.#"], ["b", "a.b", "b.c", "a.c"]),
    "topic hash and star": ("topic", ["*.#", "#.*"], ["", "a", "a.b"]),
    "topic empty": ("topic", [""], ["", "a"]),
    "topic empty words": ("topic", ["a..b", "*.."], ["a..b", "a..", "..", "a.b"]),
    "topic half wildcards": ("topic", ["a*.b", "a.#b"], ["a*.b", "ax.b", "a.#b", "a.xb"]),
    "topic several keys of one queue": ("topic", ["a.*", "*.b", "a.b"], ["a.b"]),
}


@each("route", ROUTES)
def _(t, route):
    kind, patterns, keys = route
    ch = t.channel()
    ch.exchange(kind)
    ch.queue()
    for pattern in patterns:
        ch.bind(pattern)
    for key in keys:
        ch.publish(t.x, key, key)
    for _ in range(len(keys) + 1):
        ch.get()


HEADERS = {
    "all": ({"x-match": "all", "a": 1, "b": "x"}, [{"a": 1, "b": "x"}, {"a": 1}, {"a": 1, "b": "x", "c": 2}, {}]),
    "any": ({"x-match": "any", "a": 1, "b": "x"}, [{"a": 1}, {"b": "x"}, {"a": 2, "b": "y"}, {}]),
    "all by default": ({"a": 1, "b": "x"}, [{"a": 1, "b": "x"}, {"a": 1}]),
    "nothing asked, all": ({"x-match": "all"}, [{"a": 1}, {}, None]),
    "nothing asked, any": ({"x-match": "any"}, [{"a": 1}, {}, None]),
    "presence": ({"a": None}, [{"a": 1}, {"a": "x"}, {"b": 1}]),
    "integers of other widths": ({"a": V("b", 5)}, [{"a": V("l", 5)}, {"a": V("s", 5)}, {"a": 5.0}, {"a": "5"}]),
    "a float": ({"a": V("d", 2.0)}, [{"a": V("f", 2.0)}, {"a": V("d", 2.0)}, {"a": V("I", 2)}]),
    "text and bytes": ({"a": "t"}, [{"a": V("x", b"t")}, {"a": "t"}, {"a": "T"}]),
    "booleans": ({"a": True}, [{"a": True}, {"a": False}, {"a": 1}, {"a": "true"}]),
    "x- keys are not looked at": ({"x-own": "1", "a": 1}, [{"a": 1}, {"a": 1, "x-own": "2"}]),
    "all-with-x": ({"x-match": "all-with-x", "x-own": "1", "a": 1}, [{"a": 1}, {"a": 1, "x-own": "1"}]),
    "any-with-x": ({"x-match": "any-with-x", "x-own": "1", "a": 1}, [{"x-own": "1"}, {"a": 1}, {"a": 2}]),
    "tables and arrays": ({"a": {"b": 1}, "c": [1, 2]}, [{"a": {"b": 1}, "c": [1, 2]}, {"a": {"b": 2}, "c": [1, 2]}]),
    "no headers at all": ({"x-match": "any", "a": 1}, [None]),
    "times": ({"a": V("T", 5)}, [{"a": V("T", 5)}, {"a": 5}]),
}


@each("route by headers", HEADERS)
def _(t, route):
    asked, messages = route
    ch = t.channel()
    ch.exchange("headers")
    ch.queue()
    ch.bind("", arguments=asked)
    for at, headers in enumerate(messages):
        ch.publish(t.x, "", str(at), **({} if headers is None else {"headers": headers}))
    for _ in range(len(messages) + 1):
        if ch.get()["<"] == "basic.get-empty":
            break


@each("bind to a headers exchange with x-match", {
    "unknown": "some", "of the wrong type": 5, "empty": "", "in capitals": "ANY", "as bytes": V("x", b"any"), "void": None,
})
def _(t, value):
    ch = t.channel()
    ch.exchange("headers")
    ch.queue()
    ch.bind("", arguments={"x-match": value, "a": 1})


@case("the same binding with other arguments is another")
def _(t):
    ch = t.channel()
    ch.exchange("headers")
    ch.queue()
    ch.bind("", arguments={"a": 1})
    ch.bind("", arguments={"a": 2})
    ch.call("queue.unbind", queue=t.q, exchange=t.x, arguments={"a": 1})
    ch.publish(t.x, "", "one", headers={"a": 1})
    ch.publish(t.x, "", "two", headers={"a": 2})
    ch.get()
    ch.get()


@each("an alternate exchange", ["takes what is not routed", "is not asked for what is routed", "is not there", "in a chain"])
def _(t, what):
    ch = t.channel()
    other, last = t.named("other"), t.named("last")
    ch.exchange("direct", arguments={"alternate-exchange": other})
    if what != "is not there":
        ch.exchange("direct" if what == "in a chain" else "fanout", other, arguments={"alternate-exchange": last})
    ch.queue()
    if what == "in a chain":
        ch.exchange("fanout", last)
        ch.bind("", exchange=last)
    elif what != "is not there":
        ch.bind("", exchange=other)
    if what == "is not asked for what is routed":
        ch.queue(last)
        ch.bind("k", queue=last)
    ch.call("confirm.select")
    ch.publish(t.x, "k", "lost or found", mandatory=True)
    if what == "is not there":
        ch.expect("basic.return")
    ch.expect("basic.ack")
    ch.get()


@case("alternates in a circle end")
def _(t):
    ch = t.channel()
    other = t.named("other")
    ch.exchange("direct", arguments={"alternate-exchange": other})
    ch.exchange("direct", other, arguments={"alternate-exchange": t.x})
    ch.call("confirm.select")
    ch.publish(t.x, "k", mandatory=True)
    ch.expect("basic.return")
    ch.expect("basic.ack")
