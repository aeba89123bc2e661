"""Publish and subscribe: a line of a log to everyone who listens."""

import sys

from broker import connect

message = " ".join(sys.argv[1:]) or "info: Hello World!"
connection = connect()
channel = connection.channel()
channel.exchange_declare(exchange="logs", exchange_type="fanout")
channel.basic_publish(exchange="logs", routing_key="", body=message)
print(f" [x] Sent {message}", flush=True)
connection.close()
