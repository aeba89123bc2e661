"""Publish and subscribe: a queue of its own, bound to all that is logged."""

from broker import connect

channel = connect().channel()
channel.exchange_declare(exchange="logs", exchange_type="fanout")
queue = channel.queue_declare(queue="", exclusive=True).method.queue
channel.queue_bind(exchange="logs", queue=queue)


def callback(ch, method, properties, body):
    print(f" [x] {body.decode()}", flush=True)


channel.basic_consume(queue=queue, on_message_callback=callback, auto_ack=True)
print(" [*] Waiting for logs. To exit press CTRL+C", flush=True)
channel.start_consuming()
