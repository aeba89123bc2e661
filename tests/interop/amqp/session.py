"""A case's connections: what is sent, what comes back, and the transcript of both.

A wait names what it waits for, and frames of other kinds stay where they are until someone waits for them or the case
ends: replies of a broker's parts that work beside each other come in no promised order. What closes a channel or
a connection ends each wait. Volatile parts (server-made names, ports, times) are made the same before they are
written down.
"""

import base64
import json
import re
import socket
import struct
import time
import urllib.error
import urllib.request
import zlib

import wire
from channel import QUIET_S, WAIT_S, Channel

FRAME_MAX = 131072
CAPABILITIES = {
    name: True
    for name in (
        "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
        "connection.blocked", "authentication_failure_close",
    )
}
VOLATILE = [
    (re.compile(r"amq\.gen-[A-Za-z0-9_-]+"), "amq.gen-*"),
    (re.compile(r"amq\.ctag-[A-Za-z0-9_-]+"), "amq.ctag-*"),
    (re.compile(r"amq\.rabbitmq\.reply-to\.[A-Za-z0-9_.=+/@-]+"), "amq.rabbitmq.reply-to.*"),
    (re.compile(r"127\.0\.0\.1:\d+"), "127.0.0.1:*"),
    # Which of the two is heard depends on how far RabbitMQ is with the deletion.
    (re.compile(r"(vhost '[^']*') is down"), r"\1 is deleted"),
    (re.compile(r"rabbit@\w+|weft-\d+@\w+"), "node@*"),
]


def constant(entry):
    """Without what says who the broker is: its product and version, and the name of its node."""
    if entry["<"] == "connection.start":
        known = entry["server_properties"]
        told = {"capabilities": known.get("capabilities"), "keys": sorted(set(known) - {"capabilities"})}
        return entry | {"server_properties": told, "mechanisms": " ".join(sorted(entry["mechanisms"].split()))}
    return entry


def plain(value):
    """The same value without what changes from run to run."""
    if isinstance(value, str):
        for pattern, to in VOLATILE:
            value = pattern.sub(to, value)
        return value
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        if len(value) == 2 and value[0] == "T":
            return ["T", "*"]
        return [plain(one) for one in value]
    return value


class Case:
    """What a case is given: names of its own, connections, the management API, and a transcript."""

    def __init__(self, name, amqp, management):
        self.name, self.amqp, self.management = name, amqp, management
        self.transcript, self.connections, self.names, self.later = [], [], [], []
        self.q, self.x = self.named("q"), self.named("x")

    def named(self, what):
        """A name for a queue or an exchange of this case alone; what bears it is deleted in the end."""
        self.names.append(f"m{zlib.crc32(self.name.encode()):08x}.{what}")
        return self.names[-1]

    def note(self, **entry):
        self.transcript.append(plain(entry))

    def raw(self):
        """A connection on which nothing has been said."""
        self.connections.append(Connection(self, len(self.connections)))
        return self.connections[-1]

    def connect(self, **options):
        """A connection that is open: nothing of it is written down unless it fails."""
        connection = self.raw()
        connection.handshake(**options)
        return connection

    def channel(self, **options):
        """A channel on a connection of its own."""
        return self.connect(**options).channel()

    def http(self, verb, path, content=None):
        """A request to the management API; only a refusal is written down."""
        url = f"http://{self.management}/api/{path}"
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(url, data=data, method=verb)
        request.add_header("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.read()
        except urllib.error.HTTPError as refusal:
            if refusal.code != 404 or verb != "DELETE":
                self.note(http=f"{verb} {path}", status=refusal.code)
            return b""

    def finish(self):
        """Writes down what nobody waited for, and closes everything."""
        for connection in self.connections:
            connection.leftovers()
        for connection in self.connections:
            connection.hang_up()
        self.transcript, kept = [], self.transcript
        self.clean()
        self.transcript = kept

    def clean(self):
        for path in self.later:
            self.http("DELETE", path)
        connection = self.connect()
        for name in self.names:
            for delete in ({"name": "queue.delete", "queue": name}, {"name": "exchange.delete", "exchange": name}):
                channel = connection.channel()
                channel.call(**delete)
        connection.hang_up()


class Connection:
    """A socket, the frames that have come, and who waits for them."""

    def __init__(self, case, number):
        host, port = case.amqp.rsplit(":", 1)
        self.case, self.number = case, number
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT_S)
        self.bytes, self.inbox, self.partial = b"", [], {}
        self.ended, self.next_channel, self.frame_max = None, 1, FRAME_MAX
        self.keep_raw = False

    # Sending.

    def send(self, data):
        if self.socket.fileno() < 0:
            return
        try:
            self.socket.sendall(data)
        except OSError:
            self.ended = self.ended or "eof"

    def method(self, channel, name, **fields):
        self.case.note(**self.on({">": name}, channel))
        self.send(wire.method(channel, name, **fields))

    def on(self, entry, channel=0):
        if len(self.case.connections) > 1 or self.number:
            entry["conn"] = self.number
        if channel != 1:
            entry["ch"] = channel
        return entry

    # Receiving.

    def read(self, deadline):
        """Takes what has come until `deadline`; False when nothing more can come."""
        if self.ended:
            return False
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(1 << 16)
        except socket.timeout:
            return True
        except OSError:
            data = b""
        if not data:
            self.ended = "eof"
            return False
        self.bytes += data
        self.parse()
        return True

    def parse(self):
        while len(self.bytes) >= 8:
            if self.bytes[:4] == b"AMQP":
                self.inbox.append((0, {"<": "protocol-header", "bytes": self.bytes[:8].hex()}))
                self.bytes = self.bytes[8:]
                continue
            kind, channel, size = struct.unpack(">BHI", self.bytes[:7])
            if len(self.bytes) < size + 8:
                return
            payload, end = self.bytes[7 : 7 + size], self.bytes[7 + size]
            assert end == wire.FRAME_END, "a frame without its end"
            assert size <= self.frame_max - 8, f"a frame of {size} bytes where {self.frame_max} were agreed"
            self.bytes = self.bytes[size + 8 :]
            self.frame(kind, channel, payload)

    def frame(self, kind, channel, payload):
        if kind == wire.FRAME_HEARTBEAT:
            self.inbox.append((channel, {"<": "heartbeat"}))
        elif kind == wire.FRAME_METHOD:
            name, fields = wire.decode_method(payload)
            entry = {"<": name} | fields
            if name in wire.CONTENT:
                self.partial[channel] = [entry, None, b""]
            else:
                self.inbox.append((channel, entry))
        else:
            parts = self.partial[channel]
            if kind == wire.FRAME_HEADER:
                parts[1], props, raw = wire.decode_header(payload)
                parts[0] |= {"raw": raw.hex()} if self.keep_raw else {"props": props}
            else:
                parts[2] += payload
            if len(parts[2]) >= parts[1]:
                shown = parts[2].decode("utf-8", "backslashreplace")
                parts[0]["body"] = shown if len(shown) <= 64 else f"{len(parts[2])} bytes of {shown[:8]}"
                del self.partial[channel]
                self.inbox.append((channel, parts[0]))

    def wait(self, channel, names, seconds=WAIT_S):
        """The first of `names` on the channel, or what ends the channel or the connection; written down."""
        deadline = time.monotonic() + seconds
        while True:
            for at, (number, entry) in enumerate(self.inbox):
                ends = entry["<"] == "connection.close" or (number == channel and entry["<"] == "channel.close")
                if ends or (number == channel and entry["<"] in names):
                    del self.inbox[at]
                    return self.came(number, entry)
            more = self.read(deadline)
            if not more:
                if self.ended != "closed":
                    self.case.note(**self.on({"<": self.ended}))
                return {"<": self.ended}
            if time.monotonic() > deadline:
                self.case.note(**self.on({"missing": "|".join(names)}, channel))
                return {"<": None}

    def came(self, channel, entry):
        self.case.note(**self.on(constant(dict(entry)), channel))
        if entry["<"] == "channel.close":
            self.send(wire.method(channel, "channel.close-ok"))
        if entry["<"] == "connection.close":
            self.send(wire.method(0, "connection.close-ok"))
            self.ended = "closed"
        return entry

    def quiet(self, seconds=QUIET_S):
        """Nothing comes for a while, unless the connection ends; what comes is written down."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.read(deadline):
            if any(entry["<"] == "connection.close" for _, entry in self.inbox):
                break
        while self.inbox:
            self.came(*self.inbox.pop(0))
        self.case.note(**self.on({"quiet": self.ended or True}))

    def leftovers(self):
        if not self.ended:
            self.read(time.monotonic() + 0.03)
        for channel, entry in sorted(self.inbox, key=lambda one: (one[0], one[1]["<"])):
            self.case.note(**self.on({"left": dict(entry)}, channel))
        self.inbox = []

    def hang_up(self):
        if self.socket.fileno() < 0:
            return
        if not self.ended:
            self.send(wire.method(0, "connection.close", reply_code=200, reply_text="done"))
            deadline = time.monotonic() + 1.0
            while self.read(deadline) and time.monotonic() < deadline:
                if any(entry["<"] == "connection.close-ok" for _, entry in self.inbox):
                    break
        self.socket.close()
        self.inbox, self.ended = [], "closed"

    def drop(self):
        """Closes the socket without a word."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.ended = "dropped"

    # Opening.

    def handshake(
        self, user="guest", password="guest", vhost="/", capabilities=None, tune=None, mechanism="PLAIN", response=None
    ):
        before = len(self.case.transcript)
        self.send(b"AMQP\x00\x00\x09\x01")
        start = self.wait(0, ["connection.start"])
        properties = {"product": "matrix", "capabilities": CAPABILITIES if capabilities is None else capabilities}
        response = f"\0{user}\0{password}" if response is None else response
        self.method(
            0, "connection.start-ok", client_properties=properties, mechanism=mechanism, response=response,
            locale="en_US",
        )
        tuned = self.wait(0, ["connection.tune"])
        if tuned["<"] != "connection.tune":
            return tuned
        agreed = {"channel_max": 2047, "frame_max": FRAME_MAX, "heartbeat": 0} | (tune or {})
        self.frame_max = agreed["frame_max"] or FRAME_MAX
        self.method(0, "connection.tune-ok", **agreed)
        self.method(0, "connection.open", virtual_host=vhost)
        opened = self.wait(0, ["connection.open-ok"])
        if opened["<"] == "connection.open-ok" and start["<"] == "connection.start":
            del self.case.transcript[before:]
        return opened

    def channel(self, number=None):
        number = number or self.next_channel
        self.next_channel = max(self.next_channel, number + 1)
        channel = Channel(self, number)
        before = len(self.case.transcript)
        if channel.call("channel.open")["<"] == "channel.open-ok":
            del self.case.transcript[before:]
        return channel
