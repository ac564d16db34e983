// Runs all checks against one bus and prints one line of JSON for each:
// {"check": NAME, "passed": true|false, "ms": N, "error": TEXT}.
// Each check has the queue PREFIX/NAME for itself; the caller has made them.
//
//   BUS            a connection string for messages
//   BUS_ADMIN      a connection string for administration: always over TLS
//   QUEUE_PREFIX   before the name of a check
//   CHECKS         only those whose name has this in it

import { webcrypto } from "node:crypto";
import admin from "./admin.js";
import auth from "./auth.js";
import deadLetter from "./dead_letter.js";
import defer from "./defer.js";
import lock from "./lock.js";
import message from "./message.js";
import receive from "./receive.js";
import send from "./send.js";
import settle from "./settle.js";
import subscribe from "./subscribe.js";
import { Bench } from "./check.js";

// Node.js 18, which Debian 12 has, does not have it by itself.
globalThis.crypto ??= webcrypto;

const { BUS, BUS_ADMIN, QUEUE_PREFIX, CHECKS = "" } = process.env;

// atOnce checks run side by side; each for so many ms at most.
const atOnce = 12;
const limit = 50_000;

// Those that wait for a lock to end come first.
const all = Object.entries({
  ...lock, ...deadLetter, ...subscribe, ...receive, ...defer, ...settle, ...send, ...message, ...auth, ...admin,
}).filter(([name]) => name.includes(CHECKS));

async function run(name, check) {
  const bench = new Bench(`${QUEUE_PREFIX}/${name}`, BUS, BUS_ADMIN);
  const start = Date.now();
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${limit} ms`)), limit);
  });
  const result = { check: name, passed: true };
  try {
    await Promise.race([check(bench), tooLong]);
  } catch (error) {
    Object.assign(result, { passed: false, error: error.stack ?? String(error) });
  }
  clearTimeout(timer);
  result.ms = Date.now() - start;
  console.log(JSON.stringify(result));
  await Promise.race([bench.close(), new Promise((resolve) => setTimeout(resolve, 5_000).unref())]);
}

// What a check did not wait for must not take the others down with it.
process.on("unhandledRejection", (error) => {
  console.error(error);
  process.exitCode = 1;
});

const waiting = all.values();
await Promise.all(
  Array.from({ length: atOnce }, async () => {
    for (const [name, check] of waiting) {
      await run(name, check);
    }
  }),
);
// A check that was given up may still hold a connection.
process.exit();
