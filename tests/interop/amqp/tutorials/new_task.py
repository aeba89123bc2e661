"""Work queues: a persistent task; each dot in it is a tenth of a second of work."""

import sys

import pika

from broker import connect

message = " ".join(sys.argv[1:]) or "Hello World!"
connection = connect()
channel = connection.channel()
channel.queue_declare(queue="task_queue", durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_publish(
    exchange="",
    routing_key="task_queue",
    body=message,
    properties=pika.BasicProperties(delivery_mode=pika.DeliveryMode.Persistent),
)
print(f" [x] Sent {message}", flush=True)
connection.close()
