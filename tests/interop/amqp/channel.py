"""One channel of a case, with the words that cases use."""

import time

import wire

REPLIES = {
    name: (name + "-ok",) for name in wire.METHODS if name + "-ok" in wire.METHODS
} | {"basic.get": ("basic.get-ok", "basic.get-empty")}
WAIT_S = 5.0
QUIET_S = 0.2


class Channel:
    """What is said on it waits for its answer; once the broker has closed it, nothing more is said."""

    def __init__(self, connection, number):
        self.connection, self.number, self.case = connection, number, connection.case
        self.closed = False

    def send(self, name, **fields):
        if not self.closed:
            self.connection.method(self.number, name, **fields)

    def call(self, name, **fields):
        """Sends, and waits for the reply. Nothing is said on a channel that the broker has closed."""
        self.send(name, **fields)
        return self.expect(*REPLIES[name])

    def expect(self, *names, count=1, seconds=WAIT_S):
        entry = {"<": None}
        for _ in range(0 if self.closed else count):
            entry = self.connection.wait(self.number, names, seconds)
            self.closed = entry["<"] in ("channel.close", "channel.close-ok") or bool(self.connection.ended)
        return entry

    def quiet(self, seconds=QUIET_S):
        self.connection.quiet(seconds)

    def alive(self):
        """Shows that the channel still serves: an answer that nothing else gives."""
        self.call("channel.flow", active=True)

    def publish(self, exchange, key, content=b"hello", size=None, class_id=60, **options):
        fields = {name: options.pop(name) for name in ("mandatory", "immediate", "ticket") if name in options}
        if self.closed:
            return
        content = wire.text(content)
        props = options.pop("raw", options)
        self.send("basic.publish", exchange=exchange, routing_key=key, **fields)
        header = wire.content_header(self.number, len(content) if size is None else size, props, class_id)
        self.connection.send(header + wire.body(self.number, content, self.connection.frame_max))

    def put(self, queue, *contents, **options):
        """Publishes to a queue by the default exchange."""
        for content in contents:
            self.publish("", queue, content, **options)

    def queue(self, queue=None, **fields):
        return self.call("queue.declare", queue=self.case.q if queue is None else queue, **fields)

    def exchange(self, kind="direct", exchange=None, **fields):
        return self.call("exchange.declare", exchange=exchange or self.case.x, type=kind, **fields)

    def bind(self, key="", queue=None, exchange=None, **fields):
        return self.call(
            "queue.bind", queue=queue or self.case.q, exchange=exchange or self.case.x, routing_key=key, **fields
        )

    def consume(self, queue=None, **fields):
        return self.call("basic.consume", queue=self.case.q if queue is None else queue, **fields)

    def get(self, queue=None, no_ack=True):
        return self.call("basic.get", queue=self.case.q if queue is None else queue, no_ack=no_ack)

    def get_soon(self, queue=None, no_ack=True, seconds=WAIT_S):
        """What a queue gets by another's work: asked for until it is there."""
        deadline = time.monotonic() + seconds
        while True:
            before = len(self.case.transcript)
            entry = self.get(queue, no_ack)
            if entry["<"] != "basic.get-empty" or time.monotonic() > deadline:
                return entry
            del self.case.transcript[before:]
            time.sleep(0.03)

    def count_soon(self, messages, queue=None, consumers=None, seconds=WAIT_S):
        """A passive declaration, until it tells these counts."""
        deadline = time.monotonic() + seconds
        while True:
            before = len(self.case.transcript)
            entry = self.queue(queue, passive=True)
            held = (entry.get("message_count"), entry.get("consumer_count"))
            wanted = (messages, held[1] if consumers is None else consumers)
            if held == wanted or time.monotonic() > deadline or entry["<"] != "queue.declare-ok":
                return entry
            del self.case.transcript[before:]
            time.sleep(0.03)
