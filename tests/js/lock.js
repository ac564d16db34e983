import assert from "node:assert/strict";
import { fails, gather, takeOne } from "./check.js";

// These queues lock for five or ten seconds. The bus has a clock of its own, so
// these checks wait for what it does.

export default {
  // A lock that ended: the message comes again, and who was too slow is told.
  async "lock/lost"(bench) {
    await bench.send({ messageId: "a", body: 1 });
    const slow = bench.receiver();
    const first = await takeOne(slow);
    const next = bench.receiver();
    const second = await takeOne(next);
    assert.deepEqual([second.messageId, second.deliveryCount], ["a", 1]);
    assert.ok(Date.now() >= first.lockedUntilUtc - 50, "came again before the lock ended");
    assert.notEqual(second.lockToken, first.lockToken);
    await fails(slow.completeMessage(first), "MessageLockLost", /lock/);
    await fails(slow.renewMessageLock(first), "MessageLockLost", /lock supplied is invalid/);
    await next.completeMessage(second);
    await bench.emptied();
  },

  async "lock/renew"(bench) {
    await bench.send({ messageId: "a", body: 1 });
    const receiver = bench.receiver();
    const message = await takeOne(receiver);
    const before = message.lockedUntilUtc;
    const until = await receiver.renewMessageLock(message);
    assert.ok(until > before);
    assert.equal(message.lockedUntilUtc, until);
    const ahead = until - Date.now();
    assert.ok(ahead > 30_000 && ahead <= 60_500, `locked for ${ahead} ms more, want a minute`);
    await receiver.completeMessage(message);
    await fails(receiver.renewMessageLock(message), "MessageLockLost");
  },

  // The SDK renews by itself: this message stays with its owner while one that
  // was locked after it, and is not renewed, comes to somebody else.
  async "lock/auto-renew"(bench) {
    await bench.send({ messageId: "kept", body: 1 }, { messageId: "lost", body: 2 });
    const keeper = bench.receiver({ maxAutoLockRenewalDurationInMs: 60_000 });
    const kept = await takeOne(keeper);
    const lost = await takeOne(bench.receiver());
    assert.deepEqual([kept.messageId, lost.messageId], ["kept", "lost"]);
    assert.ok(kept.lockedUntilUtc <= lost.lockedUntilUtc);
    const again = await takeOne(bench.receiver());
    assert.deepEqual([again.messageId, again.deliveryCount], ["lost", 1]);
    await keeper.completeMessage(kept);
  },

  // The same for a handler that takes its time.
  async "lock/subscribe-renews"(bench) {
    await bench.send({ messageId: "kept", body: 1 }, { messageId: "lost", body: 2 });
    const [entered, left] = [gather(1), gather(1)];
    let release;
    const released = new Promise((resolve) => (release = resolve));
    const receiver = bench.own.createReceiver(bench.queue);
    receiver.subscribe({
      async processMessage(message) {
        if (message.messageId !== "kept") return;
        entered.add(message);
        await released;
        left.add(message.deliveryCount);
      },
      processError: ({ error }) => left.add(error),
    });
    await entered.all;
    await takeOne(bench.receiver());
    const again = await takeOne(bench.receiver());
    assert.deepEqual([again.messageId, again.deliveryCount], ["lost", 1]);
    release();
    assert.deepEqual(await left.all, [0]);
    await receiver.close();
    const rest = await bench.receiver().peekMessages(10);
    assert.deepEqual(rest.map((m) => m.messageId), ["lost"]);
  },

  // A link that closes frees nothing; the lock's end does.
  async "lock/link-closed"(bench) {
    await bench.send({ messageId: "a", body: 1 });
    const receiver = bench.receiver();
    const first = await takeOne(receiver);
    await receiver.close();
    const again = await takeOne(bench.receiver());
    assert.deepEqual([again.messageId, again.deliveryCount], ["a", 1]);
    assert.ok(Date.now() >= first.lockedUntilUtc - 50, "came again before the lock ended");
  },
};
