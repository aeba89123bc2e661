"""Remote procedure call: asks for one Fibonacci number, by a queue of its own for the answers."""

import sys
import uuid

import pika

from broker import connect


class FibonacciClient:
    def __init__(self):
        self.connection = connect()
        self.channel = self.connection.channel()
        self.answers = self.channel.queue_declare(queue="", exclusive=True).method.queue
        self.channel.basic_consume(queue=self.answers, on_message_callback=self.on_response, auto_ack=True)
        self.response, self.correlation = None, None

    def on_response(self, ch, method, properties, body):
        if self.correlation == properties.correlation_id:
            self.response = body

    def call(self, n):
        self.response, self.correlation = None, str(uuid.uuid4())
        self.channel.basic_publish(
            exchange="",
            routing_key="rpc_queue",
            properties=pika.BasicProperties(reply_to=self.answers, correlation_id=self.correlation),
            body=str(n),
        )
        while self.response is None:
            self.connection.process_data_events(time_limit=None)
        return int(self.response)


n = int(sys.argv[1]) if len(sys.argv) > 1 else 30
print(f" [x] Requesting fib({n})", flush=True)
print(f" [.] Got {FibonacciClient().call(n)}", flush=True)
