"""Hello world: one message into the queue `hello`."""

from broker import connect

connection = connect()
channel = connection.channel()
channel.queue_declare(queue="hello", durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
print(" [x] Sent 'Hello World!'", flush=True)
connection.close()
