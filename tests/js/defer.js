import assert from "node:assert/strict";
import Long from "long";
import { fails, ids, takeOne } from "./check.js";

// deferred sends a message and puts it aside; its sequence number is what is
// left of it.
async function deferred(bench, properties) {
  await bench.send({ messageId: "a", body: { n: 1 }, applicationProperties: { kept: "yes", changed: 1 } });
  const receiver = bench.receiver();
  const message = await takeOne(receiver);
  await receiver.deferMessage(message, properties);
  return { receiver, number: message.sequenceNumber };
}

async function fetch(receiver, number) {
  const messages = await receiver.receiveDeferredMessages(number);
  assert.equal(messages.length, 1);
  return messages[0];
}

export default {
  async "defer/receive"(bench) {
    const { receiver, number } = await deferred(bench, { changed: 2 });
    assert.deepEqual(await receiver.receiveMessages(1, { maxWaitTimeInMs: 100 }), [], "nobody receives it");
    const message = await fetch(receiver, number);
    assert.equal(message.state, "deferred");
    assert.equal(message.messageId, "a");
    assert.deepEqual(message.body, { n: 1 });
    assert.deepEqual(message.applicationProperties, { kept: "yes", changed: 2 });
    assert.equal(message.deliveryCount, 1);
    assert.ok(message.sequenceNumber.eq(number));
    assert.match(message.lockToken, /^[0-9a-f-]{36}$/);
    assert.ok(message.lockedUntilUtc > new Date());
    await fails(bench.receiver().receiveDeferredMessages(number), "MessageNotFound");
  },

  async "defer/complete"(bench) {
    const { receiver, number } = await deferred(bench);
    await receiver.completeMessage(await fetch(receiver, number));
    await bench.emptied();
    await fails(receiver.receiveDeferredMessages(number), "MessageNotFound");
  },

  async "defer/abandon"(bench) {
    const { receiver, number } = await deferred(bench);
    await receiver.abandonMessage(await fetch(receiver, number), { changed: 3 });
    const again = await fetch(receiver, number);
    assert.deepEqual([again.state, again.deliveryCount, again.applicationProperties.changed], ["deferred", 2, 3]);
    await receiver.completeMessage(again);
  },

  async "defer/again"(bench) {
    const { receiver, number } = await deferred(bench);
    await receiver.deferMessage(await fetch(receiver, number), { changed: 3 });
    const again = await fetch(receiver, number);
    assert.deepEqual([again.state, again.deliveryCount, again.applicationProperties.changed], ["deferred", 2, 3]);
    await receiver.completeMessage(again);
  },

  async "defer/dead-letter"(bench) {
    const { receiver, number } = await deferred(bench);
    await receiver.deadLetterMessage(await fetch(receiver, number), { deadLetterReason: "why", deadLetterErrorDescription: "because" });
    const dead = await takeOne(bench.deadLetters());
    assert.deepEqual([dead.messageId, dead.deadLetterReason, dead.deadLetterErrorDescription], ["a", "why", "because"]);
    assert.equal(dead.state, "active");
    await fails(receiver.receiveDeferredMessages(number), "MessageNotFound");
    await bench.emptied();
  },

  async "defer/renew"(bench) {
    const { receiver, number } = await deferred(bench);
    const message = await fetch(receiver, number);
    const before = message.lockedUntilUtc;
    await receiver.renewMessageLock(message);
    assert.ok(message.lockedUntilUtc > before);
    await receiver.completeMessage(message);
  },

  async "defer/delete"(bench) {
    const { number } = await deferred(bench);
    const receiver = bench.receiver({ receiveMode: "receiveAndDelete" });
    assert.equal((await fetch(receiver, number)).messageId, "a");
    await bench.emptied();
  },

  // All or none: a number that is no deferred message's refuses the others.
  async "defer/unknown"(bench) {
    const { receiver, number } = await deferred(bench);
    await bench.send({ messageId: "b", body: 2 });
    const [, b] = await receiver.peekMessages(2);
    await fails(receiver.receiveDeferredMessages(b.sequenceNumber), "MessageNotFound");
    await fails(receiver.receiveDeferredMessages([number, Long.fromNumber(1_000_000)]), "MessageNotFound");
    assert.deepEqual(ids(await receiver.receiveDeferredMessages([number])), ["a"]);
  },

  // Dead letters can be put aside, too.
  async "defer/in-dead-letters"(bench) {
    await bench.send({ messageId: "a", body: 1 });
    const receiver = bench.receiver();
    await receiver.deadLetterMessage(await takeOne(receiver));
    const dead = bench.deadLetters();
    const message = await takeOne(dead);
    await dead.deferMessage(message);
    const again = await fetch(dead, message.sequenceNumber);
    assert.equal(again.messageId, "a");
    await dead.completeMessage(again);
    await bench.emptied(bench.deadLetters());
  },
};
