"""aio-pika: asynchronous publishers and consumers on one robust connection, an RPC pattern, a worker pattern, and a
connection that the broker closes and that comes back by itself with its queues and consumers.

Usage: aio_pika_robust.py --amqp HOST:PORT --management HOST:PORT; ends with 0 and a line `ok`.
"""

import asyncio
import base64
import json
import urllib.parse
import urllib.request

import aio_pika
from aio_pika.patterns import RPC, Master
from pamqp.commands import Basic

import where

options = where.options(__doc__)


def management(verb, path):
    request = urllib.request.Request(f"http://{options.management}/api/{path}", method=verb)
    request.add_header("Authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
    with urllib.request.urlopen(request, timeout=10) as answer:
        content = answer.read()
        return json.loads(content) if content else None


async def until(what, condition, seconds=30):
    for _ in range(seconds * 20):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise SystemExit(f"never: {what}")


async def topics(connection):
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    exchange = await channel.declare_exchange("aio-topics", aio_pika.ExchangeType.TOPIC, auto_delete=True)
    queue = await channel.declare_queue("", exclusive=True)
    await queue.bind(exchange, "weather.*.sun")
    sent = await asyncio.gather(
        *(exchange.publish(aio_pika.Message(str(at).encode(), message_id=str(at)), f"weather.{at}.sun") for at in range(50))
    )
    assert all(isinstance(one, Basic.Ack) for one in sent), sent
    try:
        await exchange.publish(aio_pika.Message(b"rain"), "weather.1.rain", mandatory=True)
        raise SystemExit("an unroutable message was taken")
    except aio_pika.exceptions.PublishError:
        pass
    got = []
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                got.append(int(message.body))
            if len(got) == 50:
                break
    assert sorted(got) == list(range(50)), got
    await channel.close()


async def requeue(connection):
    channel = await connection.channel()
    queue = await channel.declare_queue("aio-requeue", durable=True, arguments={"x-queue-type": "quorum"})
    await queue.purge()
    await channel.default_exchange.publish(aio_pika.Message(b"again", delivery_mode=2), queue.name)
    message = await queue.get(timeout=5)
    assert not message.redelivered
    await message.reject(requeue=True)
    message = await queue.get(timeout=5)
    assert message.redelivered and message.headers["x-delivery-count"] == 1, message.headers
    await message.ack()
    assert await queue.get(fail=False) is None
    await queue.delete(if_unused=False, if_empty=False)
    await channel.close()


async def patterns(connection):
    channel = await connection.channel()
    rpc = await RPC.create(channel)

    async def multiply(*, x, y):
        return x * y

    await rpc.register("multiply", multiply, auto_delete=True)
    answers = await asyncio.gather(*(rpc.proxy.multiply(x=at, y=2) for at in range(20)))
    assert answers == [at * 2 for at in range(20)], answers
    await rpc.close()
    master, done = Master(channel), []

    async def work(*, task):
        done.append(task)

    worker = await master.create_worker("aio-tasks", work, auto_delete=True)
    for at in range(20):
        await master.create_task("aio-tasks", kwargs={"task": at})
    await until("all tasks are done", lambda: len(done) == 20)
    await worker.close()
    await channel.close()


async def comes_back():
    name = "aio-comes-back"
    connection = await aio_pika.connect_robust(options.url, client_properties={"connection_name": name}, reconnect_interval=1)
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=10)
    queue = await channel.declare_queue("aio-robust", exclusive=True)
    got = []

    async def take(message):
        got.append(message.body)
        await message.ack()

    await queue.consume(take)
    await channel.default_exchange.publish(aio_pika.Message(b"before"), queue.name)
    await until("the first message came", lambda: got == [b"before"])
    closed = []
    for _ in range(200):
        mine = [
            one["name"]
            for one in management("GET", "connections")
            if one.get("user_provided_name") == name or one.get("client_properties", {}).get("connection_name") == name
        ]
        if mine:
            management("DELETE", "connections/" + urllib.parse.quote(mine[0], safe=""))
            closed.append(mine[0])
            break
        await asyncio.sleep(0.1)
    assert closed, "the management API never showed the connection"
    for _ in range(60):
        try:
            await asyncio.wait_for(channel.default_exchange.publish(aio_pika.Message(b"after"), queue.name), 2)
            break
        except (aio_pika.exceptions.AMQPError, asyncio.TimeoutError, ConnectionError, RuntimeError):
            await asyncio.sleep(0.5)
    await until("it consumes again", lambda: b"after" in got)
    await connection.close()


async def main():
    connection = await aio_pika.connect_robust(options.url)
    async with connection:
        await topics(connection)
        await requeue(connection)
        await patterns(connection)
    if options.management:
        await comes_back()
    print("ok")


asyncio.run(asyncio.wait_for(main(), 120))
