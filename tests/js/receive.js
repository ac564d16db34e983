import assert from "node:assert/strict";
import Long from "long";
import { fails, ids, patience, take, takeOne } from "./check.js";

const numbered = (n, from = 0) => Array.from({ length: n }, (_, i) => ({ messageId: `m${from + i}`, body: from + i }));

// The next two look behind the SDK's curtain. When the bus does not answer a
// drain, receiveMessages closes its link, and says nothing.
const linkIsOpen = (receiver) => receiver._batchingReceiver.isOpen();

// patientReceiver has received "first" already, and waits longer for a drain than
// the 200 ms of the SDK: how fast a busy machine is proves nothing.
async function patientReceiver(bench, options) {
  await bench.send({ messageId: "first", body: 0 });
  const receiver = bench.receiver(options);
  const first = await takeOne(receiver);
  assert.equal(first.messageId, "first");
  if (receiver.receiveMode === "peekLock") await receiver.completeMessage(first);
  receiver._batchingReceiver._batchingReceiverLite._drainTimeoutInMs = patience;
  return receiver;
}

// never is what the SDK makes of a message without a lifetime, in ms.
const never = 922_337_203_685_477;

export default {
  async "receive/peek-lock"(bench) {
    const before = Date.now();
    await bench.send({ messageId: "a", body: "hello" });
    const receiver = bench.receiver();
    const message = await takeOne(receiver);
    assert.equal(message.deliveryCount, 0);
    assert.equal(message.state, "active");
    assert.ok(Long.isLong(message.sequenceNumber) && message.sequenceNumber.gt(0));
    assert.equal(message.enqueuedSequenceNumber, undefined);
    assert.match(message.lockToken, /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
    assert.ok(message.enqueuedTimeUtc >= before - 1000 && message.enqueuedTimeUtc <= Date.now() + 1000);
    const locked = message.lockedUntilUtc - message.enqueuedTimeUtc;
    assert.ok(locked >= 60_000 && locked < 120_000, `locked for ${locked} ms after it was enqueued, want a minute`);
    assert.equal(message.expiresAtUtc.getTime(), never, "a message without a lifetime does not expire");
    assert.deepEqual(await bench.receiver().receiveMessages(1, { maxWaitTimeInMs: 200 }), []);
    await receiver.completeMessage(message);
    await bench.emptied();
  },

  async "receive/delete"(bench) {
    await bench.send(...numbered(3));
    const receiver = bench.receiver({ receiveMode: "receiveAndDelete" });
    const got = await take(receiver, 3);
    assert.deepEqual(ids(got), ["m0", "m1", "m2"]);
    assert.deepEqual(got.map((m) => [m.deliveryCount, m.lockedUntilUtc]), Array(3).fill([0, undefined]));
    await assert.rejects(receiver.completeMessage(got[0]), /receiveAndDelete/);
    await bench.emptied();
  },

  async "receive/order"(bench) {
    await bench.sender().sendMessages(numbered(200));
    const receiver = bench.receiver();
    const got = [];
    for (const n of [1, 50, 9, 100, 40]) {
      got.push(...(await take(receiver, n)));
    }
    assert.deepEqual(ids(got), ids(numbered(200)));
    const numbers = got.map((m) => m.sequenceNumber);
    numbers.slice(1).forEach((number, i) => assert.ok(number.gt(numbers[i]), "sequence numbers rise"));
    await Promise.all(got.map((m) => receiver.completeMessage(m)));
    await bench.emptied();
  },

  // One who waits gets what comes.
  async "receive/waits"(bench) {
    const receiver = bench.receiver();
    assert.deepEqual(await receiver.receiveMessages(1, { maxWaitTimeInMs: 100 }), []);
    const waiting = take(receiver, 1);
    await bench.send({ messageId: "a", body: 1 });
    assert.deepEqual(ids(await waiting), ["a"]);
  },

  // Who asked for more than there is gives the credit back: the next message is
  // free for others.
  async "receive/drain"(bench) {
    const receiver = await patientReceiver(bench);
    await bench.send(...numbered(3));
    const got = await receiver.receiveMessages(10, { maxWaitTimeInMs: 1000 });
    assert.deepEqual(ids(got), ["m0", "m1", "m2"]);
    assert.ok(linkIsOpen(receiver), "the drain was not answered");
    await bench.send(...numbered(1, 3));
    const other = bench.receiver();
    const message = await takeOne(other);
    assert.equal(message.messageId, "m3");
    await other.completeMessage(message);
    await Promise.all(got.map((m) => receiver.completeMessage(m)));
    await bench.send(...numbered(1, 4));
    assert.deepEqual(ids(await take(receiver, 1)), ["m4"], "on the drained link");
  },

  async "receive/drain-empty"(bench) {
    const receiver = await patientReceiver(bench);
    for (let i = 0; i < 5; i++) {
      assert.deepEqual(await receiver.receiveMessages(5, { maxWaitTimeInMs: 20 }), []);
      assert.ok(linkIsOpen(receiver), "the drain was not answered");
    }
    await bench.send(...numbered(2));
    assert.deepEqual(ids(await take(receiver, 2)), ["m0", "m1"]);
  },

  async "receive/drain-delete"(bench) {
    const receiver = await patientReceiver(bench, { receiveMode: "receiveAndDelete" });
    await bench.send(...numbered(3));
    assert.deepEqual(ids(await receiver.receiveMessages(10, { maxWaitTimeInMs: 1000 })), ["m0", "m1", "m2"]);
    assert.ok(linkIsOpen(receiver), "the drain was not answered");
    await bench.emptied();
  },

  async "receive/abort"(bench) {
    const receiver = bench.receiver();
    const abort = new AbortController();
    const waiting = receiver.receiveMessages(5, { abortSignal: abort.signal });
    await bench.send({ messageId: "a", body: 1 });
    abort.abort();
    await assert.rejects(waiting, { name: "AbortError" });
    await receiver.close();
  },

  async "receive/iterator"(bench) {
    await bench.send(...numbered(3));
    const receiver = bench.receiver();
    const got = [];
    for await (const message of receiver.getMessageIterator()) {
      got.push(message.messageId);
      await receiver.completeMessage(message);
      if (got.length === 3) break;
    }
    assert.deepEqual(got, ["m0", "m1", "m2"]);
    await bench.emptied();
  },

  // Several connections share a queue: each message goes to one of them.
  async "receive/competing"(bench) {
    await bench.sender().sendMessages(numbered(100));
    const shares = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const receiver = bench.client().createReceiver(bench.queue);
        const got = await take(receiver, 25);
        await Promise.all(got.map((m) => receiver.completeMessage(m)));
        return ids(got);
      }),
    );
    assert.deepEqual(shares.flat().sort(), ids(numbered(100)).sort());
    await bench.emptied();
  },

  async "receive/unknown-queue"(bench) {
    const start = Date.now();
    const receiver = bench.own.createReceiver("no-such-queue");
    await fails(receiver.receiveMessages(1), "MessagingEntityNotFound", /no-such-queue/);
    await fails(receiver.peekMessages(1), "MessagingEntityNotFound");
    await fails(bench.own.createSender("no-such-queue").sendMessages({ body: 1 }), "MessagingEntityNotFound");
    assert.ok(Date.now() - start < 10_000, "an unknown queue is said so at once");
    await bench.send({ messageId: "a", body: 1 });
    assert.deepEqual(ids(await take(bench.receiver(), 1)), ["a"], "on the same connection");
  },

  // What this bus does not have it refuses at once.
  async "receive/no-sessions"(bench) {
    const start = Date.now();
    for (const accept of [() => bench.own.acceptSession(bench.queue, "s"), () => bench.own.acceptNextSession(bench.queue)]) {
      await assert.rejects(accept, /session/i);
    }
    await fails(bench.own.createReceiver("topic", "subscription").receiveMessages(1), "MessagingEntityNotFound");
    assert.ok(Date.now() - start < 10_000);
    await bench.send({ messageId: "a", body: 1 });
    assert.deepEqual(ids(await take(bench.receiver(), 1)), ["a"], "on the same connection");
  },

  async "peek/all-states"(bench) {
    const receiver = bench.receiver();
    await bench.send(...numbered(2));
    const [locked, deferred] = await take(receiver, 2);
    await receiver.deferMessage(deferred);
    await bench.sender().scheduleMessages({ messageId: "m2", body: 2 }, new Date(Date.now() + 3_600_000));
    await bench.send(...numbered(1, 3));
    const peeked = await bench.receiver().peekMessages(10);
    assert.deepEqual(ids(peeked), ["m0", "m1", "m2", "m3"]);
    assert.deepEqual(peeked.map((m) => m.state), ["active", "deferred", "scheduled", "active"]);
    assert.deepEqual(peeked.map((m) => m.lockToken), Array(4).fill(undefined), "a look locks nothing");
    assert.deepEqual(peeked.map((m) => m.body), [0, 1, 2, 3]);
    assert.ok(peeked[0].sequenceNumber.eq(locked.sequenceNumber));
    await receiver.completeMessage(locked);
  },

  // A receiver remembers how far it has looked.
  async "peek/incremental"(bench) {
    await bench.sender().sendMessages(numbered(5));
    const receiver = bench.receiver();
    assert.deepEqual(ids(await receiver.peekMessages(2)), ["m0", "m1"]);
    assert.deepEqual(ids(await receiver.peekMessages(2)), ["m2", "m3"]);
    assert.deepEqual(ids(await receiver.peekMessages(2)), ["m4"]);
    assert.deepEqual(ids(await receiver.peekMessages(2)), []);
    await bench.send(...numbered(1, 5));
    assert.deepEqual(ids(await receiver.peekMessages(2)), ["m5"]);
  },

  async "peek/from-sequence"(bench) {
    await bench.sender().sendMessages(numbered(5));
    const receiver = bench.receiver();
    const all = await receiver.peekMessages(5);
    const from = (fromSequenceNumber, n = 10) => receiver.peekMessages(n, { fromSequenceNumber }).then(ids);
    assert.deepEqual(await from(all[3].sequenceNumber), ["m3", "m4"]);
    assert.deepEqual(await from(all[0].sequenceNumber, 2), ["m0", "m1"]);
    assert.deepEqual(await from(Long.ZERO, 1), ["m0"]);
    assert.deepEqual(await from(all[4].sequenceNumber.add(1)), []);
    const other = bench.receiver({ receiveMode: "receiveAndDelete" });
    await take(other, 2);
    assert.deepEqual(await from(Long.ONE), ["m2", "m3", "m4"], "over the gap");
  },

  async "peek/empty"(bench) {
    assert.deepEqual(await bench.receiver().peekMessages(1), []);
    assert.deepEqual(await bench.deadLetters().peekMessages(1), []);
  },

  // No look shows more than 250 messages, as the service has it.
  async "peek/most"(bench) {
    await bench.sender().sendMessages(numbered(300));
    const receiver = bench.receiver();
    assert.deepEqual(ids(await receiver.peekMessages(1000)), ids(numbered(250)));
    assert.deepEqual(ids(await receiver.peekMessages(1000)), ids(numbered(50, 250)));
  },
};
