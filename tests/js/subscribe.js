import assert from "node:assert/strict";
import { gather, ids, take } from "./check.js";

const numbered = (n) => Array.from({ length: n }, (_, i) => ({ messageId: `m${i}`, body: i }));

const noError = ({ error }) => assert.fail(error);

export default {
  async "subscribe/auto-complete"(bench) {
    const receiver = bench.receiver();
    const seen = gather(50);
    let running = 0;
    let most = 0;
    receiver.subscribe(
      {
        async processMessage(message) {
          most = Math.max(most, ++running);
          await new Promise(setImmediate);
          running--;
          seen.add(message.messageId);
        },
        processError: noError,
      },
      { maxConcurrentCalls: 5 },
    );
    await bench.sender().sendMessages(numbered(50));
    assert.deepEqual((await seen.all).sort(), ids(numbered(50)).sort());
    assert.ok(most <= 5, `${most} at once, want 5 at most`);
    await receiver.close();
    await bench.emptied();
  },

  async "subscribe/settles-itself"(bench) {
    const receiver = bench.receiver();
    const seen = gather(10);
    receiver.subscribe(
      {
        async processMessage(message) {
          if (message.body % 2) await receiver.completeMessage(message);
          else await receiver.deadLetterMessage(message);
          seen.add(message.messageId);
        },
        processError: noError,
      },
      { autoCompleteMessages: false },
    );
    await bench.send(...numbered(10));
    await seen.all;
    assert.deepEqual(ids(await bench.deadLetters().peekMessages(10)), ["m0", "m2", "m4", "m6", "m8"]);
    await bench.emptied();
  },

  // A handler that throws is told of, and the message comes again.
  async "subscribe/handler-throws"(bench) {
    const receiver = bench.receiver();
    const [counts, errors] = [gather(2), gather(1)];
    await bench.send({ messageId: "a", body: 1 });
    receiver.subscribe({
      async processMessage(message) {
        counts.add(message.deliveryCount);
        if (message.deliveryCount === 0) throw new Error("not today");
      },
      processError: async (args) => errors.add(args),
    });
    assert.deepEqual(await counts.all, [0, 1]);
    const [args] = await errors.all;
    assert.equal(args.errorSource, "processMessageCallback");
    assert.equal(args.error.message, "not today");
    assert.equal(args.entityPath, bench.queue);
    await receiver.close();
    await bench.emptied();
  },

  async "subscribe/unknown-queue"(bench) {
    const receiver = bench.own.createReceiver("no-such-queue");
    const errors = gather(1);
    receiver.subscribe({ processMessage: () => assert.fail("a message"), processError: async (args) => errors.add(args) });
    const [{ error, errorSource }] = await errors.all;
    assert.equal(error.code, "MessagingEntityNotFound");
    assert.equal(errorSource, "receive");
    await receiver.close();
  },

  // A subscription that was closed gets nothing, and leaves nothing locked.
  async "subscribe/close"(bench) {
    const receiver = bench.receiver();
    const first = gather(1);
    const subscription = receiver.subscribe({ processMessage: async (m) => first.add(m.messageId), processError: noError });
    await bench.send({ messageId: "a", body: 1 });
    await first.all;
    await subscription.close();
    await bench.send({ messageId: "b", body: 2 });
    assert.deepEqual(ids(await take(bench.receiver(), 1)), ["b"]);
    assert.deepEqual(first.got, ["a"]);
    const second = gather(1);
    receiver.subscribe({ processMessage: async (m) => second.add(m.messageId), processError: noError });
    await bench.send({ messageId: "c", body: 3 });
    assert.deepEqual(await second.all, ["c"], "subscribed again on the same link");
  },

  async "subscribe/delete"(bench) {
    const seen = gather(20);
    const receiver = bench.receiver({ receiveMode: "receiveAndDelete" });
    receiver.subscribe({ processMessage: async (m) => seen.add(m.messageId), processError: noError }, { maxConcurrentCalls: 3 });
    await bench.sender().sendMessages(numbered(20));
    assert.deepEqual(await seen.all, ids(numbered(20)));
    await bench.emptied();
  },
};
