import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { QueueName } from "#core/ports/queue.ts";
import { queueConformance } from "#tests/conformance/queue.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { type Database, openDatabase } from "./database.ts";
import { type Receiver, sqliteQueue } from "./queue.ts";

let home: string;
let database: Database;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-queue-"));
  database = openDatabase(join(home, "records.db"));
});

afterEach(() => {
  database.close();
  rmSync(home, { recursive: true });
});

/** Returns the messages that can be received now. */
async function receiveNow(queue: Receiver, name: QueueName, most = 10) {
  const stop = new AbortController();
  const received = queue.receive(name, most, stop.signal);
  stop.abort();
  return (await received).flat();
}

describe("the queue on SQLite", () => {
  queueConformance(async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock });
    return {
      queue,
      async receive(name, { keep = false } = {}) {
        const messages = [];
        for (;;) {
          const received = await receiveNow(queue, name);
          messages.push(...received.map(({ look: message }) => message));
          if (received.length === 0 || keep) return messages;
          for (const { id } of received) await queue.acknowledge(name, id);
        }
      },
      now: () => clock.now(),
      pass: async (ms) => clock.advance(ms),
    };
  });

  it("delivers a message again after the visibility timeout, or once it is released", async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock, visibilityMs: 30_000 });
    await queue.send("work", { look: "a|-" });

    const [first] = await receiveNow(queue, "work");
    const hidden = await receiveNow(queue, "work");
    clock.advance(30_000);
    const [second] = await receiveNow(queue, "work");
    queue.release("work", second?.id ?? 0, 1_000);
    const tooEarly = await receiveNow(queue, "work");
    clock.advance(1_000);
    const [third] = await receiveNow(queue, "work");

    expect([hidden, tooEarly]).toEqual([[], []]);
    expect([second, third].map((message) => message?.id)).toEqual([first?.id, first?.id]);
  });

  it("keeps a new message when a consumer acknowledges an old one late", async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock, visibilityMs: 30_000 });
    await queue.send("work", { look: "old|-" });
    const [hanging] = await receiveNow(queue, "work");
    clock.advance(30_000);
    for (const { id } of await receiveNow(queue, "work")) await queue.acknowledge("work", id);
    await queue.send("work", { look: "new|-" });

    await queue.acknowledge("work", hanging?.id ?? 0);

    expect((await receiveNow(queue, "work")).map(({ look: message }) => message)).toEqual([{ look: "new|-" }]);
  });

  it("keeps one of equal messages until it is received, and another one after that", async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock });
    const [plain, hint] = [{ look: "a|-" }, { look: "a|-", hint: true }] as const;

    for (const message of [plain, hint, plain, hint, { look: "b|-" }]) await queue.send("work", message);
    await queue.send("work", plain, { delaySeconds: 1 });
    const first = await receiveNow(queue, "work");
    await queue.send("work", plain);
    const whileOut = await receiveNow(queue, "work");
    for (const { id } of [...first, ...whileOut]) await queue.acknowledge("work", id);
    clock.advance(1_000);
    await queue.send("work", plain);
    const delayed = await receiveNow(queue, "work");

    expect(first.map(({ look: message }) => message)).toEqual([hint, plain, { look: "b|-" }]);
    expect([whileOut, delayed].map((messages) => messages.map(({ look: message }) => message))).toEqual([
      [plain],
      [plain],
    ]);
  });

  it("keeps a message beside an equal redelivered one, which may still be acknowledged", async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock, visibilityMs: 30_000 });
    const request = { look: "a|-" };
    await queue.send("work", request);
    const [hanging] = await receiveNow(queue, "work");
    clock.advance(30_000);

    await queue.send("work", request);
    await queue.acknowledge("work", hanging?.id ?? 0);

    expect((await receiveNow(queue, "work")).map((message) => message.look)).toEqual([request]);
  });

  it("delivers a group's returned messages first, and no others while they are in flight", async () => {
    const clock = manualClock();
    const queue = sqliteQueue({ database, clock });
    for (const recordKey of ["h|1", "h|2"]) await queue.send("pools", { look: recordKey }, { group: "h100" });
    const [first, second] = await receiveNow(queue, "pools");
    await queue.send("pools", { look: "h|3" }, { group: "h100" });

    queue.release("pools", first?.id ?? 0, 500);
    await queue.acknowledge("pools", second?.id ?? 0);
    const meanwhile = await receiveNow(queue, "pools");
    clock.advance(500);
    const again = await receiveNow(queue, "pools");

    expect([meanwhile, again.map(({ look: message }) => message.look)]).toEqual([[], ["h|1", "h|3"]]);
  });

  it("wakes a receiver after a message, the end of a delay, or an acknowledgement in its group", async () => {
    const queue = sqliteQueue({ database, clock: realClock() });
    const { signal } = new AbortController();

    const sent = queue.receive("work", 1, signal);
    await queue.send("work", { look: "sent|-" });
    const delayed = queue.receive("webhooks", 1, signal);
    await queue.send("webhooks", { look: "delayed|-" }, { delaySeconds: 1 });
    await queue.send("pools", { look: "g|1" }, { group: "g" });
    const [first] = (await queue.receive("pools", 2, signal)).flat();
    await queue.send("pools", { look: "g|2" }, { group: "g" });
    const next = queue.receive("pools", 2, signal);
    await queue.acknowledge("pools", first?.id ?? 0);

    const messages = (await Promise.all([sent, delayed, next])).flat(2).map(({ look: message }) => message.look);
    expect(messages).toEqual(["sent|-", "delayed|-", "g|2"]);
  });

  it("restores unacknowledged messages after a crash, with the rest of their delay", async () => {
    const clock = manualClock();
    const before = sqliteQueue({ database, clock });
    for (const recordKey of ["out|-", "done|-", "waits|-"]) await before.send("work", { look: recordKey });
    await before.send("work", { look: "later|-" }, { delaySeconds: 60 });
    await before.send("pools", { look: "pool|-" }, { group: "g" });
    const [, done] = await receiveNow(before, "work", 2);
    await before.acknowledge("work", done?.id ?? 0);
    await receiveNow(before, "pools");
    clock.advance(50_000);

    const copy = openDatabase(database.path);
    const after = sqliteQueue({ database: copy, clock });
    const atOnce = await receiveNow(after, "work");
    const ofPools = await receiveNow(after, "pools");
    clock.advance(10_000);
    const later = await receiveNow(after, "work");
    copy.close();

    const listLooks = (messages: typeof later) => messages.map(({ look: message }) => message.look);
    expect([atOnce, ofPools, later].map(listLooks)).toEqual([["out|-", "waits|-"], ["pool|-"], ["later|-"]]);
  });

  it("delays nothing by more than 15 minutes, though the wall clock was set back by a day", async () => {
    const clock = manualClock();
    await sqliteQueue({ database, clock }).send("work", { look: "a|-" }, { delaySeconds: 900 });
    const later = manualClock(clock.now() - 86_400_000);

    const queue = sqliteQueue({ database, clock: later });
    later.advance(900_000);

    expect(await receiveNow(queue, "work")).toHaveLength(1);
  });

  it("returns nothing to a receiver that gives up, and keeps the message for the next one", async () => {
    const queue = sqliteQueue({ database, clock: realClock() });
    const stop = new AbortController();
    const input = queue.receive("work", 1, stop.signal);
    stop.abort();
    await queue.send("work", { look: "a|-" });

    expect(await input).toEqual([]);
    expect(await receiveNow(queue, "work")).toHaveLength(1);
  });
});

function realClock() {
  return { now: () => Date.now(), monotonic: () => performance.now() };
}
