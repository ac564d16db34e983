import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { fails, ids, take, takeOne } from "./check.js";

// maxMessageSize is what the bus takes for one message or batch, in bytes.
const maxMessageSize = 262_144;

const numbered = (n, body = (i) => `body ${i}`) =>
  Array.from({ length: n }, (_, i) => ({ messageId: `m${i}`, body: body(i) }));

export default {
  async "send/one"(bench) {
    await bench.send({ messageId: "a", body: "hello" });
    const message = await takeOne(bench.receiver({ receiveMode: "receiveAndDelete" }));
    assert.equal(message.messageId, "a");
    assert.equal(message.body, "hello");
    await bench.emptied();
  },

  async "send/array"(bench) {
    const messages = numbered(100);
    await bench.sender().sendMessages(messages);
    const got = await take(bench.receiver({ receiveMode: "receiveAndDelete" }), 100);
    assert.deepEqual(got.map(({ messageId, body }) => ({ messageId, body })), messages);
  },

  // Many sends wait for their answers at the same time on one link.
  async "send/concurrent"(bench) {
    const sender = bench.sender();
    const messages = numbered(300);
    await Promise.all(messages.map((message) => sender.sendMessages(message)));
    const got = await take(bench.receiver({ receiveMode: "receiveAndDelete" }), 300);
    assert.deepEqual(ids(got).sort(), ids(messages).sort());
  },

  async "send/batch"(bench) {
    const sender = bench.sender();
    const batch = await sender.createMessageBatch();
    assert.equal(batch.maxSizeInBytes, maxMessageSize);
    const body = randomBytes(10_000).toString("base64");
    while (batch.tryAddMessage({ messageId: `m${batch.count}`, body, applicationProperties: { n: batch.count } }));
    assert.equal(batch.count, 19, "messages of 13 kB in a full batch");
    await sender.sendMessages(batch);
    const got = await take(bench.receiver({ receiveMode: "receiveAndDelete" }), batch.count);
    got.forEach((message, i) => {
      assert.equal(message.messageId, `m${i}`);
      assert.equal(message.body, body);
      assert.deepEqual(message.applicationProperties, { n: i });
    });
    await bench.emptied();
  },

  async "send/batch-empty"(bench) {
    const sender = bench.sender();
    const batch = await sender.createMessageBatch({ maxSizeInBytes: 1000 });
    assert.equal(batch.tryAddMessage({ body: randomBytes(1000) }), false);
    await fails(sender.createMessageBatch({ maxSizeInBytes: maxMessageSize + 1 }), undefined, /greater than maximum message size/);
    await bench.emptied();
  },

  // A message of many frames, there and back.
  async "send/large"(bench) {
    const body = randomBytes(maxMessageSize - 200);
    await bench.send({ messageId: "large", body });
    const message = await takeOne(bench.receiver({ skipParsingBodyAsJson: true }));
    assert.ok(body.equals(message.body), "the body has changed");
  },

  async "send/too-large"(bench) {
    const sender = bench.sender();
    await fails(sender.sendMessages({ body: randomBytes(maxMessageSize + 1) }), "MessageSizeExceeded");
    await fails(sender.sendMessages(numbered(3, () => randomBytes(100_000))), "MessageSizeExceeded");
    await sender.sendMessages({ messageId: "small", body: "fits" });
    assert.deepEqual(ids(await take(bench.receiver(), 1)), ["small"]);
  },

  // Who gives no id gets one, and each message of an array its own.
  async "send/ids"(bench) {
    await bench.send({ body: 1 }, [{ body: 2 }, { body: 3 }]);
    const got = await take(bench.receiver({ receiveMode: "receiveAndDelete" }), 3);
    got.forEach((message) => assert.match(message.messageId, /^.{16,128}$/));
    assert.equal(new Set(ids(got)).size, 3);
  },

  // Many links and their requests share one connection.
  async "send/many-links"(bench) {
    const senders = Array.from({ length: 20 }, () => bench.own.createSender(bench.queue));
    await Promise.all(senders.map((sender, i) => sender.sendMessages({ messageId: `m${i}`, body: i })));
    const receivers = Array.from({ length: 20 }, () => bench.receiver());
    const got = await Promise.all(
      receivers.map(async (receiver) => {
        const message = await takeOne(receiver);
        await receiver.renewMessageLock(message);
        await receiver.completeMessage(message);
        return message.messageId;
      }),
    );
    assert.deepEqual(got.sort(), senders.map((_, i) => `m${i}`).sort());
    await bench.emptied();
  },

  async "send/scheduled"(bench) {
    const due = new Date(Date.now() + 5000);
    const sender = bench.sender();
    const numbers = await sender.scheduleMessages([{ messageId: "a", body: 1 }, { messageId: "b", body: 2 }], due);
    assert.equal(numbers.length, 2);
    const peeked = await bench.receiver().peekMessages(10);
    assert.deepEqual(ids(peeked), ["a", "b"]);
    assert.deepEqual(peeked.map((m) => m.state), ["scheduled", "scheduled"]);
    assert.deepEqual(peeked.map((m) => String(m.sequenceNumber)), numbers.map(String));
    await sender.sendMessages({ messageId: "now", body: 0 });
    const got = await take(bench.receiver(), 3);
    assert.deepEqual(ids(got), ["now", "a", "b"]);
    for (const message of got.slice(1)) {
      assert.equal(message.state, "active");
      assert.equal(message.scheduledEnqueueTimeUtc.getTime(), due.getTime());
      assert.ok(message.enqueuedTimeUtc >= due, `enqueued ${message.enqueuedTimeUtc.toISOString()}, due ${due.toISOString()}`);
      assert.ok(message.sequenceNumber.gt(got[0].sequenceNumber), "an activated message comes to the tail");
    }
  },

  async "send/scheduled-cancel"(bench) {
    const sender = bench.sender();
    const due = new Date(Date.now() + 3_600_000);
    const [first, second] = await sender.scheduleMessages([{ messageId: "a", body: 1 }, { messageId: "b", body: 2 }], due);
    await sender.cancelScheduledMessages(first);
    assert.deepEqual(ids(await bench.receiver().peekMessages(10)), ["b"]);
    await fails(sender.cancelScheduledMessages(first), "MessageNotFound");
    await sender.cancelScheduledMessages([second]);
    await bench.emptied();
  },

  async "send/scheduled-past"(bench) {
    await bench.sender().scheduleMessages({ messageId: "late", body: 1 }, new Date(Date.now() - 60_000));
    assert.deepEqual(ids(await take(bench.receiver(), 1)), ["late"]);
  },

  // The time stands in the message: sent on the link, alone and in an array.
  async "send/scheduled-on-link"(bench) {
    const scheduledEnqueueTimeUtc = new Date(Date.now() + 5000);
    await bench.send({ messageId: "a", body: 1, scheduledEnqueueTimeUtc }, [{ messageId: "b", body: 2, scheduledEnqueueTimeUtc }]);
    assert.deepEqual((await bench.receiver().peekMessages(10)).map((m) => m.state), ["scheduled", "scheduled"]);
    const got = await take(bench.receiver(), 2);
    assert.deepEqual(ids(got), ["a", "b"]);
    got.forEach((message) => assert.ok(message.enqueuedTimeUtc >= scheduledEnqueueTimeUtc));
  },
};
