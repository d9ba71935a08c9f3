import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock } from "#aws/clock.ts";
import type { Context, PortName } from "#core/context.ts";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import type { Schedule } from "#http/cron.ts";
import { pools, work } from "#http/work.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { type Database, openDatabase } from "#sqlite/database.ts";
import { type Receiver, sqliteQueue } from "#sqlite/queue.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { type Loop, startLoop, startTimer } from "./loops.ts";

// The parts of the context that these consumers and schedules use.
const ctx = {
  log: silentLog(),
  settings: { sweepSeconds: 1 },
  clock: systemClock(),
} as unknown as Context<PortName>;
let home: string;
let database: Database;
let queue: Queue & Receiver;
let loops: Loop[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-loops-"));
  database = openDatabase(join(home, "records.db"));
  queue = sqliteQueue({ database, clock: systemClock() });
  loops = [];
});

afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()));
  database.close();
  rmSync(home, { recursive: true });
});

type Verb = (message: ReconcileRequest) => Promise<void>;

function run(name: QueueName, verb: Verb): void {
  const declare = name === "work" ? work : pools;
  const consumer = declare.consume({ uses: [] }, async (_, messages) => {
    for (const message of messages) await verb(message);
  });
  loops.push(startLoop(consumer, { receiver: queue, ctx, atOnce: 4 }));
}

async function until(holds: () => boolean, ms = PATIENCE_MS): Promise<void> {
  const end = performance.now() + ms;
  while (!holds() && performance.now() < end) await sleep(2);
  expect(holds()).toBe(true);
}

describe("a loop", () => {
  it("hands each message to its consumer and takes it off the queue", async () => {
    const seen: string[] = [];
    run("work", async ({ look: recordKey }) => void seen.push(recordKey));

    await Promise.all(["a|-", "b|-", "c|-"].map((recordKey) => queue.send("work", { look: recordKey })));
    await until(() => seen.length === 3);
    await expect.poll(() => queue.depth("work")).toEqual({ visible: 0, delayed: 0 });

    expect(seen.toSorted()).toEqual(["a|-", "b|-", "c|-"]);
  });

  it("delivers a message that is sent while it waits", async () => {
    let seen = "";
    // It waits for the queue from here on.
    run("work", async ({ look: recordKey }) => {
      seen = recordKey;
    });

    await queue.send("work", { look: "a|-" });

    await until(() => seen === "a|-");
  });

  it("handles several messages of the work queue at once, up to its limit", async () => {
    let [now, most, done] = [0, 0, 0];
    const sent = Promise.withResolvers<void>();
    run("work", async () => {
      now += 1;
      most = Math.max(most, now);
      // However long the next message takes to come, these are still there.
      await until(() => most >= 4);
      await sent.promise;
      now -= 1;
      done += 1;
    });

    for (let n = 0; n < 12; n += 1) await queue.send("work", { look: `${n}|-` });
    await until(() => most >= 4);
    sent.resolve();
    await until(() => done === 12);

    expect(most).toBe(4);
  });

  it("handles one batch of a pool at a time, in order, and several pools at once", async () => {
    const seen: string[] = [];
    const busy = new Map<string, number>();
    let mostOfOne = 0;
    let mostPools = 0;
    const sent = Promise.withResolvers<void>();
    run("pools", async ({ look: recordKey }) => {
      const [pool = ""] = recordKey.split("|");
      busy.set(pool, (busy.get(pool) ?? 0) + 1);
      mostOfOne = Math.max(mostOfOne, ...busy.values());
      mostPools = Math.max(mostPools, [...busy.values()].filter(Boolean).length);
      await until(() => mostPools >= 2);
      await sent.promise;
      seen.push(recordKey);
      busy.set(pool, (busy.get(pool) ?? 0) - 1);
    });

    for (let n = 0; n < 4; n += 1) {
      await queue.send("pools", { look: `h100|${n}` }, { group: "h100" });
      await queue.send("pools", { look: `t4|${n}` }, { group: "t4" });
    }
    sent.resolve();
    await until(() => seen.length === 8);

    expect([mostOfOne, mostPools]).toEqual([1, 2]);
    expect(seen.filter((recordKey) => recordKey.startsWith("h100"))).toEqual(["h100|0", "h100|1", "h100|2", "h100|3"]);
  });

  it("redelivers only the message that its consumer failed on", async () => {
    const seen: string[] = [];
    run("work", async ({ look: recordKey }) => {
      seen.push(recordKey);
      if (recordKey === "bad|-" && seen.filter((each) => each === recordKey).length === 1) throw new Error("not yet");
    });

    await queue.send("work", { look: "bad|-" });
    await queue.send("work", { look: "good|-" });
    await until(() => seen.length === 3);
    await expect.poll(() => queue.depth("work")).toEqual({ visible: 0, delayed: 0 });

    expect(seen.toSorted()).toEqual(["bad|-", "bad|-", "good|-"]);
  });

  it("delivers the waiting messages of a pool together, and redelivers only those that its consumer returns", async () => {
    const batches: string[][] = [];
    const begun = Promise.withResolvers<void>();
    const sent = Promise.withResolvers<void>();
    const consumer = pools.consume({ uses: [] }, async (_, messages) => {
      batches.push(messages.map(({ look: recordKey }) => recordKey));
      begun.resolve();
      await sent.promise;
      return batches.length === 2 ? messages.filter(({ look: recordKey }) => recordKey === "h|bad") : [];
    });
    loops.push(startLoop(consumer, { receiver: queue, ctx, atOnce: 4 }));

    await queue.send("pools", { look: "h|first" }, { group: "h" });
    await begun.promise;
    for (const recordKey of ["h|good", "h|bad"]) await queue.send("pools", { look: recordKey }, { group: "h" });
    sent.resolve();
    await until(() => batches.length === 3);
    await expect.poll(() => queue.depth("pools")).toEqual({ visible: 0, delayed: 0 });

    expect(batches).toEqual([["h|first"], ["h|good", "h|bad"], ["h|bad"]]);
  });

  it("rests a pool for three times the duration of its plan, at most a second, for any number of messages", async () => {
    const [begun, ended]: [number[], number[]] = [[], []];
    const consumer = pools.consume({ uses: [] }, async () => {
      begun.push(performance.now());
      await queue.send("pools", { look: `h|${begun.length}` }, { group: "h" });
      await sleep(20);
      ended.push(performance.now());
    });
    loops.push(startLoop(consumer, { receiver: queue, ctx, atOnce: 4 }));

    await queue.send("pools", { look: "h|0" }, { group: "h" });
    await until(() => begun.length >= 4);

    const took = [0, 1, 2].map((n) => (ended[n] ?? Number.NaN) - (begun[n] ?? Number.NaN));
    const rested = [0, 1, 2].map((n) => (begun[n + 1] ?? Number.NaN) - (ended[n] ?? Number.NaN));
    for (const [n, ms] of rested.entries()) expect(ms).toBeGreaterThanOrEqual(Math.min(3 * (took[n] ?? 0), 1_000) - 5);
  });

  it("stops while it waits, and otherwise after the current message", async () => {
    let [begun, ended] = [false, false];
    run("pools", async () => undefined);
    run("work", async () => {
      begun = true;
      await sleep(200);
      ended = true;
    });
    await queue.send("work", { look: "slow|-" });
    await until(() => begun);

    await Promise.all(loops.map((loop) => loop.stop()));

    expect(ended).toBe(true);
  });
});

describe("a timer", () => {
  it("runs its schedule at once and then again, never twice at the same time", async () => {
    let [starts, busy, most] = [0, 0, 0];
    const schedule = getSchedule(0.1, async () => {
      starts += 1;
      busy += 1;
      most = Math.max(most, busy);
      await sleep(20);
      busy -= 1;
      throw new Error("a failure is no reason to end");
    });

    const timer = startTimer(schedule, { name: "test", ctx });
    await until(() => starts >= 3);
    await timer.stop();
    const count = starts;
    await sleep(150);

    expect(most).toBe(1);
    expect(starts).toBe(count);
  });

  it("starts its schedule once per period, however long the schedule takes", async () => {
    const hourMs = 3_600_000;
    let [now, starts, others] = [0, 0, 0];
    const clock = { ...systemClock(), monotonic: () => now };
    const hourly = getSchedule(hourMs / 1_000, async () => {
      starts += 1;
      // The first two take as long as that, the third no time.
      if (starts < 3) now += hourMs;
    });
    const often = getSchedule(0.001, async () => {
      others += 1;
    });

    const slow = startTimer(hourly, { name: "hourly", ctx: { ...ctx, clock } });
    await until(() => starts >= 3);
    const quick = startTimer(often, { name: "often", ctx });
    await until(() => others >= 20);
    await Promise.all([slow.stop(), quick.stop()]);

    expect(starts).toBe(3);
  });
});

/** A minute of it lasts a second here. */
function getSchedule(minutes: number, verb: () => Promise<void>): Schedule {
  return { kind: "schedule", minutes, atStart: false, uses: [], timeoutSeconds: 1, memoryMb: 1, verb };
}
