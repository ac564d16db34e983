import assert from "node:assert/strict";
import { fails, ids, take, takeOne } from "./check.js";

// Each of these receives a message on one link and settles it after that is
// gone: the SDK then asks the queue's $management node.
async function linkGone(bench) {
  await bench.send({ messageId: "a", body: 1, applicationProperties: { kept: "yes", changed: 1 } });
  const receiver = bench.receiver();
  const message = await takeOne(receiver);
  await receiver.close();
  assert.deepEqual(await bench.receiver().receiveMessages(1, { maxWaitTimeInMs: 100 }), [], "its lock outlives the link");
  return message;
}

// another is a receiver of another connection.
const another = (bench) => bench.client().createReceiver(bench.queue);

export default {
  async "settle/complete"(bench) {
    await bench.send({ messageId: "a", body: 1 }, { messageId: "b", body: 2 });
    const receiver = bench.receiver();
    const [a, b] = await take(receiver, 2);
    await receiver.completeMessage(b);
    assert.deepEqual(ids(await bench.receiver().peekMessages(2)), ["a"]);
    await receiver.completeMessage(a);
    await bench.emptied();
    await assert.rejects(receiver.completeMessage(a), /already settled/);
  },

  // An abandoned message comes back to its place, counted.
  async "settle/abandon"(bench) {
    await bench.send({ messageId: "a", body: 1 }, { messageId: "b", body: 2 });
    const receiver = bench.receiver();
    for (const deliveryCount of [0, 1]) {
      const message = await takeOne(receiver);
      assert.deepEqual([message.messageId, message.deliveryCount], ["a", deliveryCount]);
      await receiver.abandonMessage(message);
    }
    const [a, b] = await take(receiver, 2);
    assert.deepEqual([a.messageId, a.deliveryCount, b.messageId, b.deliveryCount], ["a", 2, "b", 0]);
  },

  async "settle/abandon-properties"(bench) {
    await bench.send({ messageId: "a", body: 1, applicationProperties: { kept: "yes", changed: 1 } });
    const receiver = bench.receiver();
    await receiver.abandonMessage(await takeOne(receiver), { changed: "two", added: 3, flag: true, none: null });
    const message = await takeOne(receiver);
    assert.deepEqual(message.applicationProperties, { kept: "yes", changed: "two", added: 3, flag: true, none: null });
    assert.equal(message.body, 1);
    await receiver.abandonMessage(message, { changed: 4 });
    assert.equal((await takeOne(receiver)).applicationProperties.changed, 4);
  },

  async "settle/link-gone-complete"(bench) {
    const message = await linkGone(bench);
    await another(bench).completeMessage(message);
    await bench.emptied();
  },

  async "settle/link-gone-abandon"(bench) {
    const message = await linkGone(bench);
    await another(bench).abandonMessage(message, { changed: 2 });
    const again = await takeOne(bench.receiver());
    assert.equal(again.deliveryCount, 1);
    assert.deepEqual(again.applicationProperties, { kept: "yes", changed: 2 });
  },

  async "settle/link-gone-defer"(bench) {
    const message = await linkGone(bench);
    await another(bench).deferMessage(message, { changed: 2 });
    const [deferred] = await bench.receiver().receiveDeferredMessages(message.sequenceNumber);
    assert.equal(deferred.state, "deferred");
    assert.deepEqual(deferred.applicationProperties, { kept: "yes", changed: 2 });
  },

  async "settle/link-gone-dead-letter"(bench) {
    const message = await linkGone(bench);
    await another(bench).deadLetterMessage(message, { deadLetterReason: "why", deadLetterErrorDescription: "because", changed: 2 });
    const dead = await takeOne(bench.deadLetters());
    assert.equal(dead.deadLetterReason, "why");
    assert.equal(dead.deadLetterErrorDescription, "because");
    assert.equal(dead.applicationProperties.changed, 2);
  },

  async "settle/link-gone-renew"(bench) {
    const message = await linkGone(bench);
    const before = message.lockedUntilUtc;
    const until = await another(bench).renewMessageLock(message);
    assert.ok(until > before, `${until} is not after ${before}`);
  },

  async "settle/connection-gone"(bench) {
    await bench.send({ messageId: "a", body: 1 });
    const client = bench.client();
    const message = await takeOne(client.createReceiver(bench.queue));
    await client.close();
    await another(bench).completeMessage(message);
    await bench.emptied();
  },

  // What is settled cannot be settled again by anybody.
  async "settle/twice"(bench) {
    const message = await linkGone(bench);
    await another(bench).completeMessage(message);
    await fails(another(bench).completeMessage(message), "MessageLockLost", /lock supplied is invalid/);
    await fails(another(bench).abandonMessage(message), "MessageLockLost");
    await fails(another(bench).renewMessageLock(message), "MessageLockLost");
  },
};
