// What a check has at hand: a queue of its own, clients that are closed when it
// ends, and a few assertions in the words of the SDK.

import assert from "node:assert/strict";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";

// patience is how long a check waits for what should come soon, in ms. It is
// long because the machine may be busy with other tests.
export const patience = 30_000;

// Bench is what one check works with.
export class Bench {
  #closers = [];

  constructor(queue, connectionString, adminConnectionString) {
    this.queue = queue;
    this.connectionString = connectionString;
    this.adminConnectionString = adminConnectionString;
  }

  // client opens one more connection: where, and by what credential if that does
  // not say it. Nothing is tried twice, so that no error of the bus is covered up.
  client(where = this.connectionString, credential = undefined) {
    const options = { retryOptions: { maxRetries: 0, timeoutInMs: patience, retryDelayInMs: 100 } };
    const client = credential ? new ServiceBusClient(where, credential, options) : new ServiceBusClient(where, options);
    this.#closers.push(() => client.close());
    return client;
  }

  // own is the check's first client, for which sender and receiver stand.
  get own() {
    this.first ??= this.client();
    return this.first;
  }

  sender() {
    return this.own.createSender(this.queue);
  }

  receiver(options = {}) {
    return this.own.createReceiver(this.queue, { maxAutoLockRenewalDurationInMs: 0, ...options });
  }

  deadLetters(options = {}) {
    return this.receiver({ subQueueType: "deadLetter", ...options });
  }

  admin(connectionString = this.adminConnectionString) {
    return new ServiceBusAdministrationClient(connectionString, { retryOptions: { maxRetries: 0 } });
  }

  // send sends messages one after the other.
  async send(...messages) {
    const sender = this.sender();
    for (const message of messages) {
      await sender.sendMessages(message);
    }
    await sender.close();
  }

  // emptied asserts that nothing is left in the queue, locked or not.
  async emptied(queue = this.receiver()) {
    assert.deepEqual(ids(await queue.peekMessages(10)), []);
  }

  async close() {
    await Promise.allSettled(this.#closers.map((close) => close()));
  }
}

export function ids(messages) {
  return messages.map((message) => message.messageId);
}

// take receives exactly n messages.
export async function take(receiver, n = 1) {
  const messages = [];
  while (messages.length < n) {
    const more = await receiver.receiveMessages(n - messages.length, { maxWaitTimeInMs: patience });
    assert.notEqual(more.length, 0, `${messages.length} of ${n} messages came`);
    messages.push(...more);
  }
  assert.equal(messages.length, n);
  return messages;
}

export async function takeOne(receiver) {
  return (await take(receiver, 1))[0];
}

// fails asserts that a promise is rejected with a ServiceBusError of a code.
export async function fails(promise, code, text = /./) {
  const error = await promise.then(
    (value) => assert.fail(`got ${JSON.stringify(value)}, want an error with the code ${code}`),
    (error) => error,
  );
  assert.equal(error.code, code, `${error.name}: ${error.message}`);
  assert.match(error.message, text);
  return error;
}

// gather is a promise for what a handler collects: add gives it one more, and
// all is resolved with the first n.
export function gather(n) {
  const got = [];
  let resolve;
  const all = new Promise((r) => (resolve = r));
  const add = (value) => {
    got.push(value);
    if (got.length === n) resolve(got);
  };
  return { add, all, got };
}

// uuid is the text of 16 bytes in the order of RFC 9562.
export function uuid(bytes) {
  return Buffer.from(bytes).toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
