"""Topics: lines whose key matches one of the patterns."""

import sys

from broker import connect

patterns = sys.argv[1:]
if not patterns:
    sys.exit(f"Usage: {sys.argv[0]} [binding_key]...")
channel = connect().channel()
channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
queue = channel.queue_declare(queue="", exclusive=True).method.queue
for pattern in patterns:
    channel.queue_bind(exchange="topic_logs", queue=queue, routing_key=pattern)


def callback(ch, method, properties, body):
    print(f" [x] {method.routing_key}:{body.decode()}", flush=True)


channel.basic_consume(queue=queue, on_message_callback=callback, auto_ack=True)
print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
channel.start_consuming()
