"""Topics: a line of a log under facility and severity."""

import sys

from broker import connect

key = sys.argv[1] if len(sys.argv) > 1 else "anonymous.info"
message = " ".join(sys.argv[2:]) or "Hello World!"
connection = connect()
channel = connection.channel()
channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
channel.basic_publish(exchange="topic_logs", routing_key=key, body=message)
print(f" [x] Sent {key}:{message}", flush=True)
connection.close()
