// amqplib (npm): a confirm channel, consumers with prefetch, topics, RPC over direct reply-to, alternate and dead-letter
// exchanges, and the errors that close a channel or a connection.
//
// Usage: node amqplib.js --amqp HOST:PORT; ends with 0 and a line `ok`.
"use strict";

const assert = require("node:assert");
const path = require("node:path");

const at = process.argv.indexOf("--amqp");
assert(at > 0, "Usage: node amqplib.js --amqp HOST:PORT");
const url = `amqp://guest:guest@${process.argv[at + 1]}`;
const modules = process.env.WEFT_NODE_MODULES || path.join(__dirname, "../../../../target/interop/node/node_modules");
const amqp = require(path.join(modules, "amqplib"));

setTimeout(() => { console.error("it takes too long"); process.exit(1); }, 60_000).unref();

async function confirms(connection) {
  const channel = await connection.createConfirmChannel();
  const { queue } = await channel.assertQueue("", { exclusive: true });
  const returned = [];
  channel.on("return", (message) => returned.push(message.content.toString()));
  for (let n = 0; n < 300; n += 1) {
    channel.sendToQueue(queue, Buffer.from(String(n)), { persistent: true, headers: { n, nested: { list: [1, "two", null] } } });
  }
  channel.publish("", "nobody-made-this", Buffer.from("back"), { mandatory: true });
  await channel.waitForConfirms();
  assert.deepStrictEqual(returned, ["back"]);
  await channel.prefetch(7);
  const got = [];
  await new Promise((resolve) => channel.consume(queue, (message) => {
    got.push(message.properties.headers.n);
    assert.deepStrictEqual(message.properties.headers.nested, { list: [1, "two", null] });
    channel.ack(message);
    if (got.length === 300) resolve();
  }));
  assert.deepStrictEqual(got, [...Array(300).keys()]);
  await channel.close();
}

async function topics(connection) {
  const channel = await connection.createChannel();
  await channel.assertExchange("amqplib-lost", "fanout", { autoDelete: true });
  await channel.assertExchange("amqplib-topics", "topic", { autoDelete: true, alternateExchange: "amqplib-lost" });
  const found = (await channel.assertQueue("", { exclusive: true })).queue;
  const lost = (await channel.assertQueue("", { exclusive: true })).queue;
  await channel.bindQueue(found, "amqplib-topics", "a.*.c");
  await channel.bindQueue(lost, "amqplib-lost", "");
  channel.publish("amqplib-topics", "a.b.c", Buffer.from("found"));
  channel.publish("amqplib-topics", "a.b.d", Buffer.from("lost"));
  assert.strictEqual((await channel.get(found, { noAck: true })).content.toString(), "found");
  assert.strictEqual((await channel.get(lost, { noAck: true })).content.toString(), "lost");
  assert.strictEqual(await channel.get(found, { noAck: true }), false);
  await channel.close();
}

async function call(connection) {
  const server = await connection.createChannel();
  const client = await connection.createChannel();
  const { queue } = await server.assertQueue("", { exclusive: true });
  await server.consume(queue, (message) => {
    const { replyTo, correlationId } = message.properties;
    server.sendToQueue(replyTo, Buffer.from(message.content.toString().toUpperCase()), { correlationId });
    server.ack(message);
  });
  const answer = new Promise((resolve) => client.consume("amq.rabbitmq.reply-to", resolve, { noAck: true }));
  client.sendToQueue(queue, Buffer.from("hello"), { replyTo: "amq.rabbitmq.reply-to", correlationId: "1" });
  const message = await answer;
  assert.strictEqual(message.content.toString(), "HELLO");
  assert.strictEqual(message.properties.correlationId, "1");
}

async function deadLetters(connection) {
  const channel = await connection.createChannel();
  const dead = (await channel.assertQueue("", { exclusive: true })).queue;
  const { queue } = await channel.assertQueue("", {
    exclusive: true, deadLetterExchange: "", deadLetterRoutingKey: dead, messageTtl: 60000, maxLength: 10, maxPriority: 5,
  });
  channel.sendToQueue(queue, Buffer.from("low"), { priority: 1 });
  channel.sendToQueue(queue, Buffer.from("high"), { priority: 5 });
  const message = await channel.get(queue);
  assert.strictEqual(message.content.toString(), "high");
  const letter = new Promise((resolve) => channel.consume(dead, resolve, { noAck: true }));
  channel.nack(message, false, false);
  const [death] = (await letter).properties.headers["x-death"];
  assert.strictEqual(death.reason, "rejected");
  assert.strictEqual(death.queue, queue);
  await channel.close();
}

async function errors(connection) {
  const cases = [
    [404, "basic.consume", (channel) => channel.consume("nobody-made-this", () => {})],
    [404, "passive", (channel) => channel.checkQueue("nobody-made-this")],
    [403, "reserved", (channel) => channel.assertQueue("amq.own")],
    [406, "unequal", async (channel) => {
      await channel.assertQueue("amqplib-unequal", { exclusive: true });
      await channel.assertQueue("amqplib-unequal", { exclusive: true, maxLength: 5 });
    }],
  ];
  for (const [code, what, action] of cases) {
    const channel = await connection.createChannel();
    const told = new Promise((resolve) => channel.on("error", resolve));
    await assert.rejects(() => action(channel), (error) => error.code === code, what);
    assert.strictEqual((await told).code, code);
  }
  const other = await amqp.connect(url);
  const told = new Promise((resolve) => other.on("error", resolve));
  const channel = await other.createChannel();
  channel.on("error", () => {});
  channel.publish("", "x", Buffer.from(""), { immediate: true });
  other.connection.sendMethod(channel.ch, require(path.join(modules, "amqplib/lib/defs")).BasicQos, { prefetchSize: 5, prefetchCount: 0, global: false });
  assert.strictEqual((await told).code, 540);
  await assert.rejects(() => amqp.connect(url.replace("guest:guest", "guest:wrong")), /ACCESS_REFUSED|Handshake/);
}

(async () => {
  const connection = await amqp.connect(url, { heartbeat: 10 });
  for (const part of [confirms, topics, call, deadLetters, errors]) {
    await part(connection);
  }
  await connection.close();
  console.log("ok");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
