import assert from "node:assert/strict";
import rhea from "rhea";
import { takeOne, uuid } from "./check.js";

const { types } = rhea;

// roundTrip sends a message and gives what is received of it; alone, and as one
// of a batch, because the two are written in different ways.
async function roundTrip(bench, message, options = {}) {
  await bench.send(message, [message]);
  const receiver = bench.receiver({ receiveMode: "receiveAndDelete", skipConvertingDate: true, ...options });
  const [alone, batched] = [await takeOne(receiver), await takeOne(receiver)];
  for (const got of [alone, batched]) {
    delete got.sequenceNumber;
    delete got.enqueuedTimeUtc;
    delete got.expiresAtUtc;
  }
  return [alone, batched];
}

// bodies sends each body as one kind of section, and gives what came of it.
async function bodies(bench, bodyType, all) {
  for (const body of all) {
    for (const got of await roundTrip(bench, { body, bodyType })) {
      assert.deepEqual(got.body, body);
      assert.equal(got._rawAmqpMessage.bodyType, bodyType);
    }
  }
}

export default {
  async "message/body-json"(bench) {
    const all = ["text", "", 12, -0.5, true, null, { a: [1, { b: "ü😀" }], c: null }, [1, "two", false]];
    for (const body of all) {
      for (const got of await roundTrip(bench, { messageId: "a", body })) {
        assert.deepEqual(got.body, body);
        assert.equal(got._rawAmqpMessage.bodyType, "data");
      }
    }
  },

  async "message/body-buffer"(bench) {
    const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 256));
    for (const body of [bytes, Buffer.alloc(0), new Uint8Array(bytes)]) {
      for (const got of await roundTrip(bench, { messageId: "a", body }, { skipParsingBodyAsJson: true })) {
        assert.ok(Buffer.isBuffer(got.body) && got.body.equals(body), "the bytes have changed");
      }
    }
  },

  async "message/body-value"(bench) {
    await bodies(bench, "value", ["text", 7, -7, 1.5, true, false, { key: "value", nested: { n: 1 } }, ["a", 1]]);
    for (const got of await roundTrip(bench, { body: null, bodyType: "value" })) {
      assert.equal(got.body, null);
    }
  },

  async "message/body-sequence"(bench) {
    await bodies(bench, "sequence", [[1, "two", { three: 3 }], [[1, 2], [3]], [true]]);
  },

  async "message/properties"(bench) {
    const message = {
      messageId: "id-1",
      body: "b",
      contentType: "text/plain",
      correlationId: "cor",
      partitionKey: "key",
      replyTo: "answers",
      replyToSessionId: "reply-session",
      sessionId: "key",
      subject: "subject",
      to: "somewhere",
      timeToLive: 3_600_000,
      applicationProperties: { a: 1 },
    };
    for (const got of await roundTrip(bench, message)) {
      for (const [name, value] of Object.entries(message)) {
        assert.deepEqual(got[name], value, name);
      }
    }
    await bench.send(message);
    const got = await takeOne(bench.receiver());
    assert.equal(got.expiresAtUtc - got.enqueuedTimeUtc, message.timeToLive);
    const { absoluteExpiryTime, creationTime } = got._rawAmqpMessage.properties;
    assert.equal(absoluteExpiryTime - creationTime, message.timeToLive);
  },

  // An id can be a number (ulong) or 16 bytes (uuid) as well.
  async "message/ids"(bench) {
    for (const id of [1, 4_294_967_296, Buffer.from("00112233445566778899aabbccddeeff", "hex")]) {
      for (const got of await roundTrip(bench, { messageId: id, correlationId: id, body: 1 })) {
        assert.deepEqual(got.messageId, id);
        assert.deepEqual(got.correlationId, id);
      }
    }
  },

  // Every type that a property can have, as rhea reads it: what does not fit a
  // number of JavaScript comes as its bytes.
  async "message/application-properties"(bench) {
    const bytes = Buffer.from("00112233445566778899aabbccddeeff", "hex");
    const date = new Date(1_700_000_000_123);
    const all = {
      string: ["text", "text"],
      empty: ["", ""],
      longString: ["x".repeat(1000), "x".repeat(1000)],
      true: [true, true],
      false: [false, false],
      null: [null, null],
      number: [42, 42],
      negative: [-42, -42],
      fraction: [1.25, 1.25],
      date: [date, date],
      buffer: [bytes, bytes],
      ubyte: [types.wrap_ubyte(255), 255],
      ushort: [types.wrap_ushort(65_535), 65_535],
      uint: [types.wrap_uint(4_294_967_295), 4_294_967_295],
      uintZero: [types.wrap_uint(0), 0],
      ulong: [types.wrap_ulong(Number.MAX_SAFE_INTEGER), Number.MAX_SAFE_INTEGER],
      ulongMost: [types.wrap_ulong(Buffer.alloc(8, 255)), Buffer.alloc(8, 255)],
      byte: [types.wrap_byte(-128), -128],
      short: [types.wrap_short(-32_768), -32_768],
      int: [types.wrap_int(-2_147_483_648), -2_147_483_648],
      long: [types.wrap_long(Number.MIN_SAFE_INTEGER), Number.MIN_SAFE_INTEGER],
      longLeast: [types.wrap_long(Buffer.from("8000000000000000", "hex")), Buffer.from("8000000000000000", "hex")],
      float: [types.wrap_float(0.5), 0.5],
      double: [types.wrap_double(1e300), 1e300],
      timestamp: [types.wrap_timestamp(date.getTime()), date],
      uuid: [types.wrap_uuid(bytes), bytes],
      symbol: [types.wrap_symbol("sym"), "sym"],
      char: [types.wrap_char(0x1f600), 0x1f600],
    };
    const applicationProperties = Object.fromEntries(Object.entries(all).map(([name, [sent]]) => [name, sent]));
    const want = Object.fromEntries(Object.entries(all).map(([name, [, received]]) => [name, received]));
    for (const got of await roundTrip(bench, { messageId: "a", body: 1, applicationProperties })) {
      assert.deepEqual(got.applicationProperties, want);
    }
  },

  // What the bus does not understand it passes on.
  async "message/annotations"(bench) {
    await bench.send({
      body: "b",
      bodyType: "data",
      header: { priority: 7, durable: true },
      properties: { messageId: "a", contentEncoding: "none", groupSequence: 3 },
      messageAnnotations: { "x-mine": "annotation", "x-number": 5 },
      deliveryAnnotations: { "x-delivery": "mine" },
      footer: { "x-foot": "note" },
    });
    const message = await takeOne(bench.receiver({ skipConvertingDate: true }));
    const { header, properties, messageAnnotations, deliveryAnnotations, footer } = message._rawAmqpMessage;
    assert.deepEqual([header.priority, header.durable], [7, true]);
    assert.equal(header.deliveryCount, 0, "written even when it is 0");
    assert.deepEqual([properties.contentEncoding, properties.groupSequence], ["none", 3]);
    assert.deepEqual(Object.keys(messageAnnotations).sort(), [
      "x-mine", "x-number", "x-opt-enqueued-time", "x-opt-locked-until", "x-opt-sequence-number",
    ]);
    assert.deepEqual([messageAnnotations["x-mine"], messageAnnotations["x-number"]], ["annotation", 5]);
    assert.ok(messageAnnotations["x-opt-enqueued-time"] instanceof Date);
    assert.deepEqual(Object.keys(deliveryAnnotations).sort(), ["x-delivery", "x-opt-lock-token"]);
    assert.equal(uuid(deliveryAnnotations["x-opt-lock-token"]), message.lockToken);
    assert.deepEqual(footer, { "x-foot": "note" });
  },

  // A message that was received can be sent on as it is.
  async "message/resent"(bench) {
    await bench.send({ properties: { messageId: "a" }, body: ["x", 1], bodyType: "sequence", applicationProperties: { n: 1 } });
    const receiver = bench.receiver();
    const first = await takeOne(receiver);
    await bench.sender().sendMessages(first);
    await receiver.completeMessage(first);
    const second = await takeOne(receiver);
    assert.deepEqual([second.messageId, second.body, second.applicationProperties], ["a", ["x", 1], { n: 1 }]);
    assert.equal(second._rawAmqpMessage.bodyType, "sequence");
    assert.equal(second.deliveryCount, 0);
    assert.ok(second.sequenceNumber.gt(first.sequenceNumber));
  },
};
