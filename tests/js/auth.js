import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { parseServiceBusConnectionString } from "@azure/service-bus";
import { fails, ids, take } from "./check.js";

// signature is a shared access signature for a resource below the endpoint,
// until so many seconds from now.
function signature(bench, resource, seconds) {
  const { endpoint, sharedAccessKey, sharedAccessKeyName } = parseServiceBusConnectionString(bench.connectionString);
  const what = encodeURIComponent(endpoint.replace(/\/*$/, "/") + resource);
  const expires = Math.floor(Date.now() / 1000) + seconds;
  const hash = createHmac("sha256", sharedAccessKey).update(`${what}\n${expires}`).digest("base64");
  return `SharedAccessSignature sr=${what}&sig=${encodeURIComponent(hash)}&se=${expires}&skn=${sharedAccessKeyName}`;
}

// signed is a connection string with a signature in place of the key. With one,
// the SDK begins without SASL.
function signed(bench, resource, seconds) {
  const { endpoint } = parseServiceBusConnectionString(bench.connectionString);
  const emulator = /UseDevelopmentEmulator=true/.test(bench.connectionString) ? "UseDevelopmentEmulator=true;" : "";
  return `Endpoint=${endpoint};SharedAccessSignature=${signature(bench, resource, seconds)};${emulator}`;
}

const changed = (bench, name, value) => {
  const pattern = new RegExp(`${name}=[^;]*`);
  assert.match(bench.connectionString, pattern);
  return bench.connectionString.replace(pattern, `${name}=${value}`);
};

async function refused(bench, connectionString, text) {
  const client = bench.client(connectionString);
  await fails(client.createSender(bench.queue).sendMessages({ body: 1 }), "UnauthorizedAccess", text);
  await fails(client.createReceiver(bench.queue).receiveMessages(1), "UnauthorizedAccess", text);
  await fails(client.createReceiver(bench.queue).peekMessages(1), "UnauthorizedAccess", text);
  await bench.emptied();
}

async function works(bench, client) {
  await client.createSender(bench.queue).sendMessages({ messageId: "a", body: 1 });
  const receiver = client.createReceiver(bench.queue);
  const [message] = await take(receiver, 1);
  await receiver.completeMessage(message);
  assert.deepEqual(ids(await receiver.peekMessages(1)), []);
}

export default {
  async "auth/wrong-key"(bench) {
    await refused(bench, changed(bench, "SharedAccessKey", "d3Jvbmc="));
  },

  async "auth/unknown-rule"(bench) {
    await refused(bench, changed(bench, "SharedAccessKeyName", "Nobody"));
  },

  async "auth/signature"(bench) {
    await works(bench, bench.client(signed(bench, bench.queue, 3600)));
  },

  // Credentials beside the host's name: the SDK uses TLS then.
  async "auth/credential-key"(bench) {
    const { fullyQualifiedNamespace, sharedAccessKey, sharedAccessKeyName } = parseServiceBusConnectionString(bench.adminConnectionString);
    await works(bench, bench.client(fullyQualifiedNamespace, { name: sharedAccessKeyName, key: sharedAccessKey }));
  },

  async "auth/credential-signature"(bench) {
    const { fullyQualifiedNamespace } = parseServiceBusConnectionString(bench.adminConnectionString);
    await works(bench, bench.client(fullyQualifiedNamespace, { signature: signature(bench, bench.queue, 3600) }));
  },

  async "auth/signature-expired"(bench) {
    await refused(bench, signed(bench, bench.queue, -60), /ExpiredToken|expired/i);
  },

  async "auth/signature-elsewhere"(bench) {
    await refused(bench, signed(bench, "another-queue", 3600));
  },
};
