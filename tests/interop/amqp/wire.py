"""AMQP 0-9-1 on the wire: an encoder that can also say wrong things, and a decoder that keeps every type.

It owns bytes only: no socket, no idea of what a broker should answer. `session.py` stands on it, the cases on that.
A value of a table is a Python value, or `V(kind, value)` where its type matters. What is decoded is plain JSON:
a table is an object of `[kind, value]`.
"""

import struct

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT, FRAME_END = 1, 2, 3, 8, 0xCE

# name: (class id, method id, fields). As in the specification; what RabbitMQ adds is there too.
METHODS = {
    "connection.start": (10, 10, "version_major:o version_minor:o server_properties:F mechanisms:S locales:S"),
    "connection.start-ok": (10, 11, "client_properties:F mechanism:s response:S locale:s"),
    "connection.secure": (10, 20, "challenge:S"),
    "connection.secure-ok": (10, 21, "response:S"),
    "connection.tune": (10, 30, "channel_max:H frame_max:I heartbeat:H"),
    "connection.tune-ok": (10, 31, "channel_max:H frame_max:I heartbeat:H"),
    "connection.open": (10, 40, "virtual_host:s reserved_1:s reserved_2:b"),
    "connection.open-ok": (10, 41, "reserved_1:s"),
    "connection.close": (10, 50, "reply_code:H reply_text:s class_id:H method_id:H"),
    "connection.close-ok": (10, 51, ""),
    "connection.blocked": (10, 60, "reason:s"),
    "connection.unblocked": (10, 61, ""),
    "connection.update-secret": (10, 70, "new_secret:S reason:s"),
    "connection.update-secret-ok": (10, 71, ""),
    "channel.open": (20, 10, "reserved_1:s"),
    "channel.open-ok": (20, 11, "reserved_1:S"),
    "channel.flow": (20, 20, "active:b"),
    "channel.flow-ok": (20, 21, "active:b"),
    "channel.close": (20, 40, "reply_code:H reply_text:s class_id:H method_id:H"),
    "channel.close-ok": (20, 41, ""),
    "access.request": (30, 10, "realm:s exclusive:b passive:b active:b write:b read:b"),
    "access.request-ok": (30, 11, "ticket:H"),
    "exchange.declare": (
        40, 10, "ticket:H exchange:s type:s passive:b durable:b auto_delete:b internal:b nowait:b arguments:F"
    ),
    "exchange.declare-ok": (40, 11, ""),
    "exchange.delete": (40, 20, "ticket:H exchange:s if_unused:b nowait:b"),
    "exchange.delete-ok": (40, 21, ""),
    "exchange.bind": (40, 30, "ticket:H destination:s source:s routing_key:s nowait:b arguments:F"),
    "exchange.bind-ok": (40, 31, ""),
    "exchange.unbind": (40, 40, "ticket:H destination:s source:s routing_key:s nowait:b arguments:F"),
    "exchange.unbind-ok": (40, 51, ""),
    "queue.declare": (
        50, 10, "ticket:H queue:s passive:b durable:b exclusive:b auto_delete:b nowait:b arguments:F"
    ),
    "queue.declare-ok": (50, 11, "queue:s message_count:I consumer_count:I"),
    "queue.bind": (50, 20, "ticket:H queue:s exchange:s routing_key:s nowait:b arguments:F"),
    "queue.bind-ok": (50, 21, ""),
    "queue.purge": (50, 30, "ticket:H queue:s nowait:b"),
    "queue.purge-ok": (50, 31, "message_count:I"),
    "queue.delete": (50, 40, "ticket:H queue:s if_unused:b if_empty:b nowait:b"),
    "queue.delete-ok": (50, 41, "message_count:I"),
    "queue.unbind": (50, 50, "ticket:H queue:s exchange:s routing_key:s arguments:F"),
    "queue.unbind-ok": (50, 51, ""),
    "basic.qos": (60, 10, "prefetch_size:I prefetch_count:H global:b"),
    "basic.qos-ok": (60, 11, ""),
    "basic.consume": (
        60, 20, "ticket:H queue:s consumer_tag:s no_local:b no_ack:b exclusive:b nowait:b arguments:F"
    ),
    "basic.consume-ok": (60, 21, "consumer_tag:s"),
    "basic.cancel": (60, 30, "consumer_tag:s nowait:b"),
    "basic.cancel-ok": (60, 31, "consumer_tag:s"),
    "basic.publish": (60, 40, "ticket:H exchange:s routing_key:s mandatory:b immediate:b"),
    "basic.return": (60, 50, "reply_code:H reply_text:s exchange:s routing_key:s"),
    "basic.deliver": (60, 60, "consumer_tag:s delivery_tag:Q redelivered:b exchange:s routing_key:s"),
    "basic.get": (60, 70, "ticket:H queue:s no_ack:b"),
    "basic.get-ok": (60, 71, "delivery_tag:Q redelivered:b exchange:s routing_key:s message_count:I"),
    "basic.get-empty": (60, 72, "cluster_id:s"),
    "basic.ack": (60, 80, "delivery_tag:Q multiple:b"),
    "basic.reject": (60, 90, "delivery_tag:Q requeue:b"),
    "basic.recover-async": (60, 100, "requeue:b"),
    "basic.recover": (60, 110, "requeue:b"),
    "basic.recover-ok": (60, 111, ""),
    "basic.nack": (60, 120, "delivery_tag:Q multiple:b requeue:b"),
    "confirm.select": (85, 10, "nowait:b"),
    "confirm.select-ok": (85, 11, ""),
    "tx.select": (90, 10, ""),
    "tx.select-ok": (90, 11, ""),
    "tx.commit": (90, 20, ""),
    "tx.commit-ok": (90, 21, ""),
    "tx.rollback": (90, 30, ""),
    "tx.rollback-ok": (90, 31, ""),
}
# RabbitMQ answers exchange.unbind with method 51, as the specification's XML extension says.
NAMES = {(c, m): name for name, (c, m, _) in METHODS.items()}
CONTENT = {"basic.deliver", "basic.get-ok", "basic.return"}

PROPERTIES = [
    ("content_type", "s"), ("content_encoding", "s"), ("headers", "F"), ("delivery_mode", "o"), ("priority", "o"),
    ("correlation_id", "s"), ("reply_to", "s"), ("expiration", "s"), ("message_id", "s"), ("timestamp", "Q"),
    ("type", "s"), ("user_id", "s"), ("app_id", "s"), ("cluster_id", "s"),
]
PACKED = {"o": ">B", "H": ">H", "I": ">I", "Q": ">Q"}
# Field values of fixed width: RabbitMQ's letters, which are not the specification's.
SCALARS = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "f": ">f", "d": ">d", "T": ">Q"}


class V:
    """A value of a table with its type said: `V("l", 5)`, `V("?", b"raw")` for a kind that nobody knows."""

    def __init__(self, kind, value):
        self.kind, self.value = kind, value


def text(value):
    return value if isinstance(value, bytes) else str(value).encode()


def short_string(value):
    value = text(value)
    return struct.pack(">B", len(value)) + value


def long_string(value):
    value = text(value)
    return struct.pack(">I", len(value)) + value


def table(entries):
    if isinstance(entries, bytes):  # as it is, right or wrong
        return entries
    pairs = entries.items() if isinstance(entries, dict) else entries
    return long_string(b"".join(short_string(key) + field(value) for key, value in pairs))


def field(value):
    kind, value = kind_of(value)
    tag = kind.encode()
    if kind in SCALARS:
        return tag + struct.pack(SCALARS[kind], value)
    if kind in "Sx":
        return tag + long_string(value)
    if kind == "t":
        return tag + struct.pack(">B", value)
    if kind == "D":
        return tag + struct.pack(">Bi", *value)
    if kind == "F":
        return tag + table(value)
    if kind == "A":
        return tag + long_string(b"".join(map(field, value)))
    return tag + (value or b"")


def kind_of(value):
    if isinstance(value, V):
        return value.kind, value.value
    for kind, types in (("t", bool), ("S", str), ("x", bytes), ("d", float), ("F", dict), ("A", list)):
        if isinstance(value, types):
            return kind, value
    if value is None:
        return "V", None
    return ("I" if -(2**31) <= value < 2**31 else "l"), value


def arguments(spec, given):
    """Fields as `spec` says; absent ones are zero or empty."""
    out, bits, count = b"", 0, 0
    given = dict(given)
    for name, kind in (part.split(":") for part in spec.split()):
        value = given.pop(name, None)
        if kind == "b":
            bits |= bool(value) << count
            count += 1
            continue
        if count:
            out, bits, count = out + struct.pack(">B", bits), 0, 0
        if kind == "s":
            out += short_string(value or "")
        elif kind == "S":
            out += long_string(value or "")
        elif kind == "F":
            out += table(value or {})
        else:
            out += struct.pack(PACKED[kind], value or 0)
    assert not given, f"no such field: {given}"
    return out + (struct.pack(">B", bits) if count else b"")


def frame(kind, channel, payload, end=FRAME_END, size=None):
    return struct.pack(">BHI", kind, channel, len(payload) if size is None else size) + payload + bytes([end])


def method_payload(name, fields):
    class_id, method_id, spec = METHODS[name]
    return struct.pack(">HH", class_id, method_id) + arguments(spec, fields)


def method(channel, name, **fields):
    return frame(FRAME_METHOD, channel, method_payload(name, fields))


def properties(given):
    if isinstance(given, bytes):  # flags and list as they are
        return given
    flags, out, given = 0, b"", dict(given)
    for at, (name, kind) in enumerate(PROPERTIES):
        if name not in given:
            continue
        flags |= 1 << (15 - at)
        out += arguments(f"{name}:{kind}", {name: given.pop(name)})
    assert not given, f"no such property: {given}"
    return struct.pack(">H", flags) + out


def content_header(channel, size, given, class_id=60, weight=0):
    return frame(FRAME_HEADER, channel, struct.pack(">HHQ", class_id, weight, size) + properties(given))


def body(channel, data, frame_max=131072):
    step = frame_max - 8
    return b"".join(frame(FRAME_BODY, channel, data[at : at + step]) for at in range(0, len(data), step))


class Reader:
    """Takes values from the front of some bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "a value is cut short"
        self.at += count
        return self.data[self.at - count : self.at]

    def unpack(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def string(self, form):
        return self.take(self.unpack(form)).decode("utf-8", "backslashreplace")

    def table(self):
        inner, out = Reader(self.take(self.unpack(">I"))), {}
        while inner.at < len(inner.data):
            key = inner.string(">B")
            while key in out:
                key += "'"
            out[key] = inner.field()
        return out

    def field(self):
        kind = chr(self.unpack(">B"))
        if kind in SCALARS:
            return [kind, self.unpack(SCALARS[kind])]
        if kind in "Sx":
            return [kind, self.string(">I")]
        if kind == "t":
            return [kind, bool(self.unpack(">B"))]
        if kind == "D":
            return [kind, [self.unpack(">B"), self.unpack(">i")]]
        if kind == "F":
            return [kind, self.table()]
        if kind == "A":
            inner, out = Reader(self.take(self.unpack(">I"))), []
            while inner.at < len(inner.data):
                out.append(inner.field())
            return [kind, out]
        assert kind == "V", f"no such kind of value: {kind!r}"
        return [kind, None]

    def fields(self, spec):
        out, bits, count = {}, 0, 8
        for name, kind in (part.split(":") for part in spec.split()):
            if kind == "b":
                if count == 8:
                    bits, count = self.unpack(">B"), 0
                out[name] = bool(bits >> count & 1)
                count += 1
                continue
            count = 8
            out[name] = self.typed(kind)
        return out

    def typed(self, kind):
        if kind in "sS":
            return self.string(">B" if kind == "s" else ">I")
        return self.table() if kind == "F" else self.unpack(PACKED[kind])


def decode_method(payload):
    reader = Reader(payload)
    name = NAMES[(reader.unpack(">H"), reader.unpack(">H"))]
    fields = reader.fields(METHODS[name][2])
    assert reader.at == len(payload), f"{name} has bytes left over: {payload[reader.at :]!r}"
    return name, fields


def decode_header(payload):
    """Body size, properties by name, and the same as they came."""
    reader = Reader(payload)
    assert reader.unpack(">H") == 60 and reader.unpack(">H") == 0
    size = reader.unpack(">Q")
    raw, flags, given = payload[reader.at :], reader.unpack(">H"), {}
    for at, (name, kind) in enumerate(PROPERTIES):
        if flags >> (15 - at) & 1:
            given[name] = reader.typed(kind)
    assert reader.at == len(payload), "a content header has bytes left over"
    return size, given, raw
