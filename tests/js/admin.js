import assert from "node:assert/strict";
import { fails, gather, ids, take, takeOne } from "./check.js";

// rejected asserts that the bus refuses a request over HTTP.
const rejected = (promise, statusCode, code, message = /./) =>
  assert.rejects(promise, (error) => {
    assert.deepEqual([error.statusCode, error.code], [statusCode, code], error.message);
    assert.match(error.message, message);
    return true;
  });

// forever is the longest duration that the service writes.
const forever = "P10675199DT2H48M5.4775807S";

async function collect(pages) {
  const all = [];
  for await (const item of pages) all.push(item);
  return all;
}

// Each check makes queues below its own one's name.
export default {
  async "admin/defaults"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.new`;
    const created = await admin.createQueue(name);
    const want = {
      name,
      lockDuration: "PT1M",
      maxSizeInMegabytes: 1024,
      requiresDuplicateDetection: false,
      requiresSession: false,
      defaultMessageTimeToLive: forever,
      deadLetteringOnMessageExpiration: false,
      duplicateDetectionHistoryTimeWindow: "PT10M",
      maxDeliveryCount: 10,
      enableBatchedOperations: true,
      status: "Active",
      autoDeleteOnIdle: forever,
      enablePartitioning: false,
      enableExpress: false,
      availabilityStatus: "Available",
      maxMessageSizeInKilobytes: 256,
      forwardTo: undefined,
      forwardDeadLetteredMessagesTo: undefined,
      userMetadata: undefined,
    };
    for (const got of [created, await admin.getQueue(name)]) {
      for (const [key, value] of Object.entries(want)) {
        assert.deepEqual(got[key], value, key);
      }
    }
    await bench.own.createSender(name).sendMessages({ messageId: "a", body: 1 });
    assert.deepEqual(ids(await take(bench.own.createReceiver(name), 1)), ["a"]);
  },

  // Durations come back as they were written.
  async "admin/create"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.new`;
    const settings = {
      lockDuration: "PT45S",
      maxSizeInMegabytes: 2048,
      requiresDuplicateDetection: true,
      defaultMessageTimeToLive: "P2D",
      deadLetteringOnMessageExpiration: true,
      duplicateDetectionHistoryTimeWindow: "PT120S",
      maxDeliveryCount: 7,
      enableBatchedOperations: false,
      userMetadata: "a <note> & more",
    };
    await admin.createQueue(name, settings);
    const got = await admin.getQueue(name);
    for (const [key, value] of Object.entries(settings)) {
      assert.deepEqual(got[key], value, key);
    }
    const sender = bench.own.createSender(name);
    for (const messageId of ["a", "b", "a"]) {
      await sender.sendMessages({ messageId, body: 1 });
    }
    const receiver = bench.own.createReceiver(name);
    const peeked = await receiver.peekMessages(10);
    assert.deepEqual(ids(peeked), ["a", "b"], "the second a is a duplicate");
    assert.equal(peeked[0].expiresAtUtc - peeked[0].enqueuedTimeUtc, 2 * 24 * 3_600_000);
    const message = await takeOne(receiver);
    const locked = message.lockedUntilUtc - message.enqueuedTimeUtc;
    assert.ok(locked >= 45_000 && locked < 60_000, `locked for ${locked} ms, want 45 s`);
  },

  async "admin/create-twice"(bench) {
    const admin = bench.admin();
    await rejected(admin.createQueue(bench.queue), 409, "MessageEntityAlreadyExistsError");
  },

  async "admin/create-invalid"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.new`;
    await rejected(admin.createQueue(name, { lockDuration: "PT6M" }), 400, "ServiceError", /LockDuration/);
    await rejected(admin.createQueue(name, { maxDeliveryCount: 0 }), 400, "ServiceError", /MaxDeliveryCount/);
    assert.equal(await admin.queueExists(name), false);
  },

  async "admin/missing"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.none`;
    await rejected(admin.getQueue(name), 404, "MessageEntityNotFoundError");
    await rejected(admin.getQueueRuntimeProperties(name), 404, "MessageEntityNotFoundError");
    await rejected(admin.deleteQueue(name), 404, "MessageEntityNotFoundError");
    await rejected(admin.updateQueue({ ...(await admin.getQueue(bench.queue)), name }), 404, "MessageEntityNotFoundError");
  },

  async "admin/exists"(bench) {
    const admin = bench.admin();
    assert.equal(await admin.queueExists(bench.queue), true);
    assert.equal(await admin.queueExists(bench.queue.toUpperCase()), true, "names know no case");
    assert.equal(await admin.queueExists(`${bench.queue}.none`), false);
  },

  // The names sort before all others, so that no page moves meanwhile.
  async "admin/list"(bench) {
    const admin = bench.admin();
    const names = Array.from({ length: 5 }, (_, i) => `0/${bench.queue}.${i}`);
    await Promise.all(names.map((name) => admin.createQueue(name)));
    const mine = (all) => all.map(({ name }) => name).filter((name) => names.includes(name));
    assert.deepEqual(mine(await collect(admin.listQueues())).sort(), names);
    assert.deepEqual(mine(await collect(admin.listQueuesRuntimeProperties())).sort(), names);
    const found = new Set();
    let pages = 0;
    for await (const page of admin.listQueues().byPage({ maxPageSize: 3 })) {
      pages++;
      assert.equal(page.length, 3);
      assert.equal(page.continuationToken, String(3 * pages));
      mine(page).forEach((name) => found.add(name));
      if (found.size === names.length) break;
    }
    assert.ok(pages >= 2, `5 queues on ${pages} page of 3`);
  },

  async "admin/update"(bench) {
    const admin = bench.admin();
    const queue = await admin.getQueue(bench.queue);
    const changes = { lockDuration: "PT30S", maxDeliveryCount: 3, userMetadata: "changed", deadLetteringOnMessageExpiration: true };
    const updated = await admin.updateQueue({ ...queue, ...changes });
    for (const got of [updated, await admin.getQueue(bench.queue)]) {
      for (const [key, value] of Object.entries(changes)) {
        assert.deepEqual(got[key], value, key);
      }
    }
    await bench.send({ messageId: "a", body: 1 });
    const message = await takeOne(bench.receiver());
    assert.ok(message.lockedUntilUtc - message.enqueuedTimeUtc < 45_000);
  },

  async "admin/update-refused"(bench) {
    const admin = bench.admin();
    const queue = await admin.getQueue(bench.queue);
    await rejected(admin.updateQueue({ ...queue, requiresDuplicateDetection: true }), 400, "ServiceError",
      /The value for the RequiresDuplicateDetection property of an existing Queue cannot be changed/);
    assert.equal((await admin.getQueue(bench.queue)).requiresDuplicateDetection, false);
  },

  // An update lets go of the queue's links: who subscribed comes back by itself.
  async "admin/update-detaches"(bench) {
    const admin = bench.admin();
    const receiver = bench.receiver();
    const [seen, errors] = [gather(2), gather(1)];
    receiver.subscribe({ processMessage: async (m) => seen.add(m.messageId), processError: async (args) => errors.add(args) });
    const sender = bench.sender();
    await sender.sendMessages({ messageId: "before", body: 1 });
    while ((await admin.getQueueRuntimeProperties(bench.queue)).totalMessageCount > 0);
    await admin.updateQueue({ ...(await admin.getQueue(bench.queue)), userMetadata: "again" });
    const [{ error }] = await errors.all;
    assert.equal(error.retryable, true, error.message);
    await bench.own.createSender(bench.queue).sendMessages({ messageId: "after", body: 2 });
    assert.deepEqual(await seen.all, ["before", "after"]);
  },

  async "admin/delete"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.new`;
    await admin.createQueue(name);
    const receiver = bench.own.createReceiver(name);
    assert.deepEqual(await receiver.peekMessages(1), []);
    await bench.own.createSender(name).sendMessages({ messageId: "a", body: 1 });
    await admin.deleteQueue(name);
    assert.equal(await admin.queueExists(name), false);
    await fails(bench.client().createReceiver(name).receiveMessages(1), "MessagingEntityNotFound");
    await admin.createQueue(name);
    assert.deepEqual(await bench.client().createReceiver(name).peekMessages(1), [], "a new queue of that name is empty");
  },

  async "admin/runtime"(bench) {
    const admin = bench.admin();
    const fresh = await admin.getQueueRuntimeProperties(bench.queue);
    assert.deepEqual(counts(fresh), [0, 0, 0, 0]);
    assert.ok(fresh.accessedAt < Date.parse("0002-01-01T00:00:00Z"), "never used");
    const sender = bench.sender();
    await sender.sendMessages([{ body: 1 }, { body: 2 }, { body: 3 }]);
    await sender.scheduleMessages([{ body: 4 }, { body: 5 }], new Date(Date.now() + 3_600_000));
    const receiver = bench.receiver();
    const [dead] = await take(receiver, 2);
    await receiver.deadLetterMessage(dead);
    const used = await admin.getQueueRuntimeProperties(bench.queue);
    assert.deepEqual(counts(used), [2, 1, 2, 5], "what is locked is active");
    assert.ok(used.sizeInBytes > 0);
    assert.ok(Math.abs(used.accessedAt - Date.now()) < 60_000);
    assert.ok(used.createdAt <= used.modifiedAt && used.modifiedAt <= new Date(Date.now() + 1000));
    assert.deepEqual([used.transferMessageCount, used.transferDeadLetterMessageCount], [0, 0]);
  },

  async "admin/rules"(bench) {
    const admin = bench.admin();
    const name = `${bench.queue}.new`;
    const authorizationRules = [
      {
        accessRights: ["Listen"], keyName: "reader", claimType: "SharedAccessKey", claimValue: "None",
        primaryKey: Buffer.alloc(32, 1).toString("base64"), secondaryKey: Buffer.alloc(32, 2).toString("base64"),
      },
    ];
    await admin.createQueue(name, { authorizationRules });
    const [rule] = (await admin.getQueue(name)).authorizationRules;
    assert.deepEqual([rule.keyName, rule.accessRights, rule.primaryKey, rule.secondaryKey], [
      "reader", ["Listen"], authorizationRules[0].primaryKey, authorizationRules[0].secondaryKey,
    ]);
  },

  async "admin/status"(bench) {
    const admin = bench.admin();
    const set = async (status) => admin.updateQueue({ ...(await admin.getQueue(bench.queue)), status });
    const send = (messageId) => bench.client().createSender(bench.queue).sendMessages({ messageId, body: 1 });
    const receive = () => take(bench.client().createReceiver(bench.queue, { receiveMode: "receiveAndDelete" }), 1);
    await send("a");
    await set("SendDisabled");
    await fails(send("b"), "MessagingEntityDisabled");
    assert.deepEqual(ids(await receive()), ["a"]);
    await set("ReceiveDisabled");
    await send("c");
    await fails(receive(), "MessagingEntityDisabled");
    await set("Disabled");
    await fails(send("d"), "MessagingEntityDisabled");
    await fails(receive(), "MessagingEntityDisabled");
    await set("Active");
    assert.deepEqual(ids(await receive()), ["c"]);
  },

  async "admin/namespace"(bench) {
    const namespace = await bench.admin().getNamespaceProperties();
    assert.equal(namespace.messagingSku, "Standard");
    assert.ok(namespace.name.length > 0);
    assert.ok(namespace.createdAt <= new Date(Date.now() + 1000));
  },

  async "admin/wrong-key"(bench) {
    const admin = bench.admin(bench.adminConnectionString.replace(/SharedAccessKey=[^;]*/, "SharedAccessKey=d3Jvbmc="));
    await rejected(admin.getQueue(bench.queue), 401, "UnauthorizedRequestError");
    await rejected(admin.deleteQueue(bench.queue), 401, "UnauthorizedRequestError");
    await rejected(admin.createQueue(`${bench.queue}.new`), 401, "UnauthorizedRequestError");
    assert.equal(await bench.admin().queueExists(bench.queue), true);
  },

  // What this bus does not have it says so of.
  async "admin/not-there"(bench) {
    const admin = bench.admin();
    for (const create of [
      () => admin.createTopic(`${bench.queue}.topic`),
      () => admin.createQueue(`${bench.queue}.sessions`, { requiresSession: true }),
      () => admin.createQueue(`${bench.queue}.forward`, { forwardTo: bench.queue }),
    ]) {
      await assert.rejects(create, (error) => {
        assert.ok(error.statusCode === 400 || error.statusCode === 501, `${error.statusCode}: ${error.message}`);
        assert.match(error.message, /not supported/);
        return true;
      });
    }
  },
};

const counts = (queue) => [
  queue.activeMessageCount, queue.deadLetterMessageCount, queue.scheduledMessageCount, queue.totalMessageCount,
];
