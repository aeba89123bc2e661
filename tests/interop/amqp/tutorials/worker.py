"""Work queues: one task at a time, acknowledged when it is done."""

import time

from broker import connect

channel = connect().channel()
channel.queue_declare(queue="task_queue", durable=True, arguments={"x-queue-type": "quorum"})


def callback(ch, method, properties, body):
    print(f" [x] Received {body.decode()}", flush=True)
    time.sleep(body.count(b".") / 10)
    print(f" [x] Done {body.decode()}", flush=True)
    ch.basic_ack(delivery_tag=method.delivery_tag)


channel.basic_qos(prefetch_count=1)
channel.basic_consume(queue="task_queue", on_message_callback=callback)
print(" [*] Waiting for messages. To exit press CTRL+C", flush=True)
channel.start_consuming()
