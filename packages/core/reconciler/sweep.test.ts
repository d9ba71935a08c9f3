import { describe, expect, it } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Queue, ReconcileRequest } from "../ports/queue.ts";
import type { IndexQuery, Item, Key, Page, PartitionQuery } from "../ports/table.ts";
import { dueShards, getDueShard } from "../store/due.ts";
import { keyText, sweepKey } from "../store/keys.ts";
import { sweep, sweepDeliveries, sweepDisks } from "./sweep.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Sent {
  readonly look: string;
  /** When it becomes visible, ms. */
  readonly at: number;
}

/** A world whose sends are written down and arrive nowhere. */
async function sweptWorld(visible = 0) {
  const world = await memoryWorld({ nodes: [] });
  const sent: Sent[] = [];
  const queries: (PartitionQuery | IndexQuery)[] = [];
  let result = 0;
  const queue: Queue = {
    depth: async () => ({ visible, delayed: 60_000 }),
    send: async (_name, { look: recordKey }: ReconcileRequest, { delaySeconds = 0 } = {}) => {
      sent.push({ look: recordKey, at: world.clock.now() + delaySeconds * 1000 });
    },
  };
  const query = async (input: PartitionQuery | IndexQuery): Promise<Page> => {
    const page = await world.table.query(input);
    queries.push(input);
    result += page.items.length;
    return page;
  };
  const ctx = { ...world.ctx, queue, table: { ...world.table, query } };
  return { ...world, ctx, sent, queries, itemsRead: () => result };
}

/** A record that is due at this moment; `n` makes its key. */
function due(world: MemoryWorld, n: number, dueAt: number): Item {
  const key = { pk: "owner#a#env#gpu-dev", sk: `job-${n}` };
  return { ...key, writers: [], dueShard: getDueShard(world.ctx.ids, key), dueAt };
}

async function putAt(world: MemoryWorld, key: Key, dueShard: string, dueAt: number): Promise<void> {
  await world.table.put({ ...key, writers: [], dueShard, dueAt } as Item);
}

async function putDue(world: MemoryWorld, dueAts: readonly number[]): Promise<string[]> {
  const records = dueAts.map((dueAt, n) => due(world, n, dueAt));
  for (const record of records) await world.table.put(record);
  return records.map(keyText);
}

describe("the messages of a sweep", () => {
  it("are sent once for records due within three minutes, delayed to the second, rounded up", async () => {
    const world = await sweptWorld();
    const start = world.clock.now();
    const messages = await putDue(world, [start + 100, start + 90_500, start + 3 * MINUTE, start + 3 * MINUTE + 1]);

    for (let run = 0; run < 2; run++) await sweep(world.ctx);

    expect(world.sent).toEqual([
      { look: messages[0], at: start + 1000 },
      { look: messages[1], at: start + 91_000 },
      { look: messages[2], at: start + 3 * MINUTE },
    ]);
  });

  it("are sent again every minute for records overdue by more than 30 s until they are reconciled", async () => {
    const world = await sweptWorld();
    const [recordKey] = await putDue(world, [world.clock.now()]);
    const sentAt: number[] = [];
    const start = world.clock.now();

    for (let minute = 0; minute < 4; minute++) {
      await sweep(world.ctx);
      sentAt.push(...world.sent.splice(0).map(({ at }) => (at - start) / MINUTE));
      world.clock.advance(MINUTE);
    }

    expect(recordKey).toBeDefined();
    expect(sentAt).toEqual([0, 1, 2, 3]);
  });

  it("continue after the last sweep if runs were skipped, or one died before its cursor", async () => {
    const world = await sweptWorld();
    const start = world.clock.now();
    const messages = await putDue(world, [start + MINUTE, start + 4 * MINUTE, start + 9 * MINUTE + 40_000]);
    const dies = { ...world.ctx.table, put: () => Promise.reject(new Error("died")) };

    await expect(sweep({ ...world.ctx, table: dies })).rejects.toThrow("died");
    await sweep(world.ctx);
    world.clock.advance(10 * MINUTE);
    await sweep(world.ctx);

    expect(world.sent.map(({ look: recordKey }) => recordKey)).toEqual([
      messages[0],
      messages[0],
      messages[0],
      messages[1],
      messages[2],
    ]);
  });

  it("are sent at most twice by two concurrent sweeps, and not again by the next", async () => {
    const world = await sweptWorld();
    await putDue(world, [world.clock.now() + 2 * MINUTE]);

    await Promise.all([sweep(world.ctx), sweep(world.ctx)]);
    await sweep(world.ctx);

    expect(world.sent).toHaveLength(2);
  });

  it("ignore a cursor from a clock a day ahead, and accept one from a clock a second ahead", async () => {
    const world = await sweptWorld();
    const start = world.clock.now();
    const cursor = { ...sweepKey("environments"), writers: ["other"], kind: "sweep" };
    await putDue(world, [start + MINUTE]);

    await world.table.put({ ...cursor, sentUpTo: start + 3 * MINUTE + 1000 } as Item);
    await sweep(world.ctx);
    const believed = world.sent.length;
    await world.table.put({ ...cursor, sentUpTo: start + 24 * HOUR } as Item);
    await sweep(world.ctx);

    expect([believed, world.sent.length]).toEqual([0, 1]);
    expect(await world.table.get(sweepKey("environments"))).toMatchObject({ sentUpTo: start + 3 * MINUTE });
  });

  it("are sent for the other shards if one does not answer, and repeated", async () => {
    const world = await sweptWorld();
    const [kept = "", broken = ""] = await putDue(world, [world.clock.now(), world.clock.now()]);
    const shard = due(world, 1, 0).dueShard;
    const query = (input: PartitionQuery | IndexQuery) =>
      "partition" in input && input.partition === shard
        ? Promise.reject(new Error("throttled"))
        : world.ctx.table.query(input);
    const failing = { ...world.ctx, table: { ...world.ctx.table, query } };

    await expect(sweep(failing)).rejects.toThrow("throttled");
    const first = world.sent.splice(0).map(({ look: recordKey }) => recordKey);
    await sweep(world.ctx);

    expect(due(world, 0, 0).dueShard).not.toBe(shard);
    expect(first).toEqual([kept]);
    expect(world.sent.map(({ look: recordKey }) => recordKey).toSorted()).toEqual([kept, broken].toSorted());
  });
});

describe("each kind of record has a separate sweep", () => {
  const kinds = [
    ["environment", "owner#a#env#gpu-dev", sweep],
    ["user", "user#u1", sweep],
    ["pool", "pool#h100", sweep],
    ["disk", "owner#a#disk", sweepDisks],
    ["delivery", "owner#a#delivery", sweepDeliveries],
  ] as const;

  it.each(kinds)("sends a due record of the kind %s with its sweep alone", async (_, pk, ownValue) => {
    const world = await sweptWorld();
    const key = { pk, sk: "one" };
    await putAt(world, key, getDueShard(world.ctx.ids, key), world.clock.now());

    const sent: string[][] = [];
    for (const each of [sweep, sweepDisks, sweepDeliveries]) {
      await each(world.ctx);
      sent.push(world.sent.splice(0).map(({ look: recordKey }) => recordKey));
    }

    expect(sent).toEqual([sweep, sweepDisks, sweepDeliveries].map((each) => (each === ownValue ? [keyText(key)] : [])));
  });

  it("sends a disk that an earlier version put into a shard of environments", async () => {
    const world = await sweptWorld();
    const key = { pk: "owner#a#disk", sk: "one" };
    await putAt(world, key, "7", world.clock.now());

    await sweep(world.ctx);

    expect(world.sent.map(({ look: recordKey }) => recordKey)).toEqual([keyText(key)]);
  });

  it("makes two queries per shard, and keeps a cursor per sweep", async () => {
    const world = await sweptWorld();
    const queries: number[] = [];
    for (const each of [sweep, sweepDisks, sweepDeliveries]) {
      await each(world.ctx);
      queries.push(world.queries.splice(0).length);
    }

    expect(queries).toEqual([32, 8, 8]);
    for (const name of ["environments", "disks", "webhooks"] as const) {
      expect(await world.table.get(sweepKey(name))).toMatchObject({ sentUpTo: world.clock.now() + 3 * MINUTE });
    }
  });

  it("sends at most 250 disks while the queue is deep", async () => {
    const world = await sweptWorld(5_001);
    const keys = Array.from({ length: 1_000 }, (_, n) => ({ pk: "owner#a#disk", sk: `disk-${n}` }));
    const dueAt = world.clock.now() - HOUR;
    for (const key of keys) await putAt(world, key, getDueShard(world.ctx.ids, key), dueAt);

    const sent = await sweepDisks(world.ctx);

    expect(sent).toBeGreaterThan(200);
    expect(sent).toBeLessThanOrEqual(250);
  });
});

describe("while more than 5,000 messages are visible", () => {
  it("sends only records overdue by more than three minutes, oldest first, at most 1,000 a run", async () => {
    const world = await sweptWorld(5_001);
    const now = world.clock.now();
    const long = Array.from({ length: 3_000 }, (_, n) => now - 3 * MINUTE - ((n * 7_919) % 3_000));
    const messages = await putDue(world, [...long, now - 3 * MINUTE + 1, now, now + MINUTE]);

    const answered = await sweep(world.ctx);

    expect(answered).toBe(world.sent.length);
    expect(world.sent.length).toBeGreaterThan(900);
    expect(world.sent.length).toBeLessThanOrEqual(1_000);
    const ages = world.sent.map(({ look: recordKey }) => now - (long[messages.indexOf(recordKey)] ?? 0));
    expect(ages).toEqual(ages.toSorted((a, b) => b - a));
    expect(Math.min(...ages)).toBeGreaterThanOrEqual(3 * MINUTE);
    expect(world.queries).toHaveLength(dueShards.length);
  });

  it.each([
    ["deep", 5_001, 62],
    ["short", 0, 2_000],
  ])(
    "continues after records in a shard that stay due forever, and returns to them, while the queue is %s",
    async (_, visible, most) => {
      const world = await sweptWorld(visible);
      const start = world.clock.now();
      const fill = Array.from({ length: 2 * most + 1 }, (_, n) => ({ ...due(world, n, start + n), dueShard: "0" }));
      for (const record of fill) await world.table.put(record);
      world.clock.advance(HOUR);
      const runs: number[] = [];
      const names: string[] = [];

      for (let run = 0; run < 4; run++) {
        await sweep(world.ctx);
        const messages = world.sent.splice(0).map(({ look: recordKey }) => recordKey);
        runs.push(messages.length);
        names.push(...messages);
        world.clock.advance(MINUTE);
      }

      expect(runs).toEqual([most, most, 1, most]);
      expect(names.slice(0, fill.length)).toEqual(fill.map(keyText));
    },
  );

  it("begins with the oldest again if the stored place is invalid or ahead of the clock", async () => {
    const world = await sweptWorld(5_001);
    const [recordKey] = await putDue(world, [world.clock.now() - HOUR]);
    const note = async (places: unknown) =>
      world.table.put({ ...sweepKey("environments"), writers: ["other"], kind: "sweep", places } as unknown as Item);
    const shard = due(world, 0, 0).dueShard as string;
    const { next } = await world.table.query({ index: "due", partition: shard, limit: 1 });

    for (const places of [
      7,
      { [shard]: "x" },
      { [shard]: { at: 0, after: "no cursor" } },
      { [shard]: { at: 5e12, after: next ?? '[9e12,"z","z"]' } },
    ]) {
      await note(places);
      await sweep(world.ctx);
    }

    expect(world.sent.map((sent) => sent.look)).toEqual([recordKey, recordKey, recordKey, recordKey]);
  });

  it("continues as before once the queue is shorter, with the records that fell due meanwhile", async () => {
    const deep = await sweptWorld(5_001);
    const messages = await putDue(deep, [deep.clock.now() + MINUTE, deep.clock.now() + 6 * MINUTE]);
    const shallow = { ...deep.ctx, queue: { ...deep.ctx.queue, depth: async () => ({ visible: 5_000, delayed: 0 }) } };

    await sweep(deep.ctx);
    deep.clock.advance(4 * MINUTE);
    await sweep(shallow);

    expect(deep.sent.map(({ look: recordKey }) => recordKey)).toEqual(messages);
  });
});

/** Takes the visible messages at this record off the queue, as if they had been lost; answers how many. */
function loseMessages(world: MemoryWorld, recordKey: string): number {
  const messages = world.queue.receive("work", Number.POSITIVE_INFINITY);
  for (const { id } of messages) world.queue.release("work", id);
  const lost = messages.filter((message) => message.look.look === recordKey);
  for (const { id } of lost) world.queue.acknowledge("work", id);
  return lost.length;
}

describe("with more living environments than the queue may be deep", () => {
  it("every job whose message was lost is reconciled within two minutes and ends in time", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 60 }), deepestQueue: 3 });
    const hours = (n: number) => (n === 7 ? 1 : 8);
    for (let n = 0; n < 60; n++) {
      await createEnvironment(world.as("alice"), newEnvironment(`job-${n}`, { hours: hours(n) }));
      // Reconciles five minutes apart spread over all that time. More than the queue's limit are always sent ahead.
      await world.advance(5_000);
    }
    await world.advance(5 * MINUTE);
    const { endsAt } = (await world.read("alice", "job-7")).times;
    const found: unknown[] = [];

    // At moments spread over the three minutes that a sweep sends ahead. With gaps, some of these jobs would wait.
    for (const id of ["job-7", "job-16", "job-25", "job-34", "job-43", "job-52"]) {
      const { phase, dueAt = 0 } = await world.read("alice", id);
      await world.advance(dueAt - world.clock.now() - 1_000);
      world.clock.advance(1_000);
      const { delayed } = await world.queue.depth("work");
      const lost = loseMessages(world, keyText(await world.read("alice", id)));
      await world.advance(2 * MINUTE);
      const later = await world.read("alice", id);
      found.push([id, phase, lost, delayed > 3, (later.dueAt ?? 0) > dueAt + MINUTE]);
    }
    await world.advance(HOUR);

    expect(found).toEqual(found.map((entry) => [(entry as string[])[0], "active", 1, true, true]));
    const { phase, end } = await world.read("alice", "job-7");
    expect(phase).toBe("expired");
    expect((end.at ?? 0) - (endsAt ?? 0)).toBeLessThan(MINUTE);
  });
});

describe("with 10,000 living environments", () => {
  const COUNT = 10_000;
  const EVERY = 5 * MINUTE;

  // Only counts: on a busy machine the hundred thousand index entries take their time.
  it("each time is sent once, a lost message again within 90 s, and a run reads only due records", async () => {
    const world = await sweptWorld();
    const start = world.clock.now();
    const records = Array.from({ length: COUNT }, (_, n) => due(world, n, start + MINUTE + ((n * 7_919) % EVERY)));
    for (const record of records) await world.table.put(record);
    const recordByKey = new Map(records.map((record) => [keyText(record), record]));
    const [lost = ""] = recordByKey.keys();
    const sends = new Map<string, number[]>();
    let arriving: Sent[] = [];

    for (let run = 0; run < 11; run++) {
      await sweep(world.ctx);
      world.clock.advance(MINUTE);
      arriving.push(...world.sent.splice(0));
      const now = world.clock.now();
      for (const { look: recordKey, at } of arriving.filter((sent) => sent.at <= now)) {
        const times = sends.get(recordKey) ?? [];
        sends.set(recordKey, [...times, at]);
        const record = recordByKey.get(recordKey);
        if (!record || (recordKey === lost && times.length === 0)) continue;
        const next = { ...record, dueAt: Number(record.dueAt) + EVERY };
        recordByKey.set(recordKey, next);
        await world.table.put(next);
      }
      arriving = arriving.filter((sent) => sent.at > now);
    }

    const others = [...sends].filter(([recordKey]) => recordKey !== lost);
    expect(sends.size).toBe(COUNT);
    expect(
      others.every(([, times]) => times.every((at, n) => n === 0 || at - (times[n - 1] ?? 0) >= EVERY - 1000)),
    ).toBe(true);
    const [first = 0, again = 0] = sends.get(lost) ?? [];
    expect(again - first).toBeGreaterThan(0);
    expect(again - first).toBeLessThanOrEqual(90_000);
    expect(world.queries.length).toBe(11 * 2 * dueShards.length);
    expect(world.itemsRead()).toBeLessThanOrEqual([...sends.values()].flat().length + arriving.length);
  });
});
