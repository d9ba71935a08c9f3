import { expect, test } from "vitest";
import { sleepingClock } from "#tests/fixtures/sleeping-clock.ts";
import { type MemoryWorld, memoryWorld, newNodes } from "#tests/worlds/memory-world.ts";
import { listNodes } from "../pools/capacity/list-nodes.ts";
import { readLedger } from "../pools/ledger/ledger.ts";
import { emptyPool } from "../pools/ledger/record.ts";
import type { Change } from "../ports/compute.ts";
import { writeRecord } from "../store/write-record.ts";
import { runWatcher } from "./watcher-lease.ts";

const MACHINES = 40;
const LISTING_MS = 200;
/**
 * Table reads of a listing of named machines with one pool: all pools at once, 16 partitions of machines, those still to
 * be created, the operator's setting, and the pool again for its plan.
 */
const READS = 20;
const NEW = `h100-${MACHINES + 1}`;

/**
 * World whose watch reports the changes that a test makes. It counts listings, reads and writes. `meanwhile` runs during
 * each listing.
 */
async function watchedWorld(
  meanwhile: (world: MemoryWorld, listings: number) => Promise<void> = async () => undefined,
) {
  const time = sleepingClock();
  const world = await memoryWorld({ nodes: newNodes({ h100: MACHINES }) });
  const counts = { all: 0, named: [] as number[], reads: 0, nodeWrites: 0, sends: 0 };
  const { put } = world.ctx.table;
  const { send } = world.ctx.queue;
  const changes: Change[] = [];
  const ending = new AbortController();
  const compute = {
    ...world.compute,
    async *changes() {
      while (!ending.signal.aborted) {
        yield* changes.splice(0);
        await time.clock.sleep(10);
      }
    },
    async listNodes(names?: ReadonlySet<string>) {
      if (names) counts.named.push(names.size);
      else counts.all += 1;
      const listed = await world.compute.listNodes(names);
      await meanwhile(world, counts.all + counts.named.length);
      await time.clock.sleep(LISTING_MS);
      return listed;
    },
  };
  const counted = <Read extends unknown[], Answer>(read: (...call: Read) => Answer) => {
    return (...call: Read) => {
      counts.reads += 1;
      return read(...call);
    };
  };
  const table: typeof world.ctx.table = {
    ...world.ctx.table,
    get: counted(world.ctx.table.get),
    getMany: counted(world.ctx.table.getMany),
    query: counted(world.ctx.table.query),
    put: (...call) => {
      if ("foreignUnits" in call[0]) counts.nodeWrites += 1;
      return put(...call);
    },
  };
  const queue: typeof world.ctx.queue = {
    ...world.ctx.queue,
    send: (...call) => {
      counts.sends += 1;
      return send(...call);
    },
  };
  const running = runWatcher({ ...world.ctx, table, queue, compute, clock: time.clock }, ending.signal);
  const end = async () => {
    ending.abort();
    time.wake();
    await running;
  };
  return { world, time, counts, changes, end };
}

/** Cordons a machine, or ends its cordon. */
async function flip(world: MemoryWorld, index: number): Promise<string> {
  const [node] = await world.compute.listNodes(new Set([`h100-${index + 1}`]));
  if (!node) throw new Error(`there is no machine ${index}`);
  const { unready: _, ...rest } = node;
  world.compute.setNode(node.ready ? { ...rest, ready: false, unready: "cordoned" } : { ...rest, ready: true });
  return node.name;
}

async function readUnlike(world: MemoryWorld): Promise<string[]> {
  const known = new Map((await listNodes(world.ctx)).map(({ name, state }) => [name, state === "ready"]));
  const machines = await world.compute.listNodes();
  return machines.filter(({ name, ready }) => known.get(name) !== ready).map(({ name }) => name);
}

test("while a machine changes each 100 ms, each change is known within two seconds, at the cost of a listing a second", async () => {
  const { world, time, counts, changes, end } = await watchedWorld();
  await time.advance(1_000);
  const unlikeSince = new Map<string, number>();
  let longestMs = 0;

  for (let step = 0; step < 600; step += 1) {
    changes.push({ nodesChanged: new Set([await flip(world, step % 7)]) });
    await time.advance(100);
    const unlike = await readUnlike(world);
    for (const name of unlikeSince.keys()) if (!unlike.includes(name)) unlikeSince.delete(name);
    for (const name of unlike) {
      const since = unlikeSince.get(name) ?? time.clock.now() - 100;
      unlikeSince.set(name, since);
      longestMs = Math.max(longestMs, time.clock.now() - since);
    }
  }
  await end();

  expect(longestMs).toBeLessThanOrEqual(2_000);
  expect(counts.all).toBe(0);
  expect(counts.named.length).toBeGreaterThan(40);
  expect(counts.named.length).toBeLessThanOrEqual(61);
  expect(Math.max(...counts.named)).toBeLessThanOrEqual(7);
  expect(counts.nodeWrites).toBeGreaterThan(counts.named.length);
  expect(counts.nodeWrites).toBeLessThanOrEqual(7 * counts.named.length);
  expect(counts.reads).toBeLessThanOrEqual(READS * (counts.named.length + 1));
  // One plan of the pool after each listing.
  expect(counts.sends).toBeLessThanOrEqual(counts.named.length);
});

test("changes of more machines than are read one by one cost one listing of all", async () => {
  const { world, time, counts, changes, end } = await watchedWorld();
  await time.advance(1_000);

  for (let index = 0; index < MACHINES; index += 1) changes.push({ nodesChanged: new Set([await flip(world, index)]) });
  await time.advance(3_000);
  const unlike = await readUnlike(world);
  await end();

  expect(unlike).toEqual([]);
  expect([counts.all, ...counts.named]).toEqual([1, 1]);
});

test("changes of a machine without GPUs cost no listing of all, and its GPUs cost one", async () => {
  const { world, time, counts, changes, end } = await watchedWorld();
  const added = newNodes({ h100: MACHINES + 1 }).find(({ name }) => name === NEW);
  if (!added) throw new Error("there is no new machine");
  const change = async () => {
    changes.push({ nodesChanged: new Set([NEW]) });
    await time.advance(1_000);
  };
  await time.advance(1_000);

  for (let step = 0; step < 20; step += 1) {
    world.compute.setNode({ ...added, units: 0, ready: step % 2 === 0 });
    await change();
  }
  const [allBefore, namedBefore] = [counts.all, counts.named.length];
  world.compute.setNode(added);
  for (let step = 0; step < 20; step += 1) await change();
  const known = await listNodes(world.ctx);
  await end();

  expect(allBefore).toBe(0);
  expect(namedBefore).toBeGreaterThan(10);
  expect(counts.all).toBe(1);
  expect(known.map(({ name }) => name)).toContain(NEW);
});

test.each([
  { times: 1, subject: "one listing is known after the next", listings: 2, known: true },
  { times: 9, subject: "each listing is left to the schedule after three", listings: 3, known: false },
])("a machine whose item a plan writes during $subject", async ({ times, listings, known }) => {
  const { world, time, counts, changes, end } = await watchedWorld(async ({ ctx }, listing) => {
    const item = (await readLedger(ctx, emptyPool(ctx, "h100"))).nodes.find(({ name }) => name === "h100-1");
    if (item && listing <= times) await writeRecord(ctx, { ...item, since: item.since - 1 });
  });
  await time.advance(1_000);

  changes.push({ nodesChanged: new Set([await flip(world, 0)]) });
  await time.advance(10_000);
  const unlike = await readUnlike(world);
  await end();

  expect(counts.named).toHaveLength(listings);
  expect(unlike).toEqual(known ? [] : ["h100-1"]);
});
