import assert from "node:assert/strict";
import { takeOne } from "./check.js";

const message = { messageId: "a", body: { n: 1 }, subject: "s", applicationProperties: { kept: "yes", changed: 1 } };

export default {
  async "dead-letter/reason"(bench) {
    await bench.send(message);
    const receiver = bench.receiver();
    const got = await takeOne(receiver);
    await receiver.deadLetterMessage(got, { deadLetterReason: "why", deadLetterErrorDescription: "because", changed: 2, added: true });
    await bench.emptied();
    const letters = bench.deadLetters();
    assert.equal(letters.entityPath, `${bench.queue}/$DeadLetterQueue`);
    const dead = await takeOne(letters);
    assert.equal(dead.deadLetterReason, "why");
    assert.equal(dead.deadLetterErrorDescription, "because");
    assert.deepEqual(dead.applicationProperties, {
      kept: "yes", changed: 2, added: true, DeadLetterReason: "why", DeadLetterErrorDescription: "because",
    });
    assert.deepEqual([dead.messageId, dead.subject, dead.body, dead.deliveryCount], ["a", "s", { n: 1 }, 0]);
    await letters.completeMessage(dead);
    await bench.emptied(bench.deadLetters());
  },

  async "dead-letter/no-reason"(bench) {
    await bench.send(message);
    const receiver = bench.receiver();
    await receiver.deadLetterMessage(await takeOne(receiver));
    const dead = await takeOne(bench.deadLetters());
    assert.equal(dead.deadLetterReason, undefined);
    assert.equal(dead.deadLetterErrorDescription, undefined);
    assert.deepEqual(dead.applicationProperties, message.applicationProperties);
  },

  // Among the dead, giving a message back counts nothing and kills nothing.
  async "dead-letter/abandon"(bench) {
    await bench.send(message);
    const receiver = bench.receiver();
    await receiver.deadLetterMessage(await takeOne(receiver), { deadLetterReason: "why" });
    const letters = bench.deadLetters();
    for (let i = 0; i < 4; i++) {
      const dead = await takeOne(letters);
      assert.equal(dead.deliveryCount, 0);
      await letters.abandonMessage(dead);
    }
    await letters.completeMessage(await takeOne(letters));
    await bench.emptied(bench.deadLetters());
  },

  // The queue gives a message up at its third delivery.
  async "dead-letter/max-delivery"(bench) {
    await bench.send(message);
    const receiver = bench.receiver();
    for (let i = 0; i < 3; i++) {
      const got = await takeOne(receiver);
      assert.equal(got.deliveryCount, i);
      await receiver.abandonMessage(got, { try: i });
    }
    const dead = await takeOne(bench.deadLetters());
    assert.equal(dead.deadLetterReason, "MaxDeliveryCountExceeded");
    assert.match(dead.deadLetterErrorDescription, /3/);
    assert.equal(dead.applicationProperties.try, 2);
    await bench.emptied();
  },

  // This queue keeps what expired; nobody has to look.
  async "dead-letter/expired"(bench) {
    await bench.send({ ...message, timeToLive: 500 });
    const dead = await takeOne(bench.deadLetters());
    assert.equal(dead.deadLetterReason, "TTLExpiredException");
    assert.equal(dead.messageId, "a");
    await bench.emptied();
  },

  // And this one drops it, when its lock ends.
  async "dead-letter/dropped"(bench) {
    await bench.send({ ...message, timeToLive: 3000 });
    const receiver = bench.receiver();
    const locked = await takeOne(receiver);
    assert.equal(locked.expiresAtUtc - locked.enqueuedTimeUtc, 3000);
    assert.deepEqual(await bench.receiver().receiveMessages(1, { maxWaitTimeInMs: 3500 }), []);
    assert.ok(locked.expiresAtUtc < Date.now());
    await receiver.abandonMessage(locked);
    await bench.send({ messageId: "b", body: 2, timeToLive: 3_600_000 });
    assert.equal((await takeOne(receiver)).messageId, "b");
    assert.deepEqual(await bench.deadLetters().peekMessages(1), []);
  },
};
