import { expect, test } from "vitest";
import { toKey } from "#core/environments/record/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Key } from "#core/ports/table.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { keyText } from "#core/store/keys.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, type WorldOptions } from "#tests/worlds/memory-world.ts";

const SECOND = 1_000;
const MANY = 2_000;

/** Returns a world with one job, `ms` after its submit. */
async function jobAfter(ms: number, { disk, ...options }: WorldOptions & { readonly disk?: string } = {}) {
  const world = await memoryWorld(options);
  const job = await createEnvironment(world.as("alice"), newEnvironment("one", { command: "train", disk }));
  await world.advance(ms);
  return { world, key: toKey(job) };
}

async function endedAfter(ms: number, options: WorldOptions & { readonly disk?: string } = {}) {
  const { world, key } = await jobAfter(10 * SECOND, options);
  await requestCancel(world.as("alice"), "one");
  await world.advance(ms);
  return { world, key };
}

/** Counts the port calls for this many hints, by method. */
async function getCosts(count: number, world: MemoryWorld, key: Key): Promise<Record<string, number>> {
  const calls: string[] = [];
  const { table, queue } = world;
  const ctx = {
    ...world.ctx,
    table: countedPort("table", table, calls),
    queue: countedPort("queue", queue, calls),
  };
  for (let n = 0; n < count; n++) await reconcile(ctx, { look: keyText(key), hint: true });
  return Object.fromEntries(
    ["table.get", "table.getMany", "table.put", "queue.send"].map((verb) => [
      verb,
      calls.filter((call) => call === verb).length,
    ]),
  );
}

test("each of 100,000 signals for unknown environments costs one read, no write and no message", async () => {
  const { world } = await jobAfter(10 * SECOND);
  const [stored, sent] = [world.table.all(), world.queue.sent()];
  let gets = 0;
  const get: typeof world.table.get = (key) => {
    gets += 1;
    return world.table.get(key);
  };
  const others = { ...world.table, get, getMany: forbidden, query: forbidden, put: forbidden, remove: forbidden };
  const compute = { ...world.compute, observe: forbidden, remove: forbidden, listRuns: forbidden };

  for (let n = 0; n < 100_000; n++) {
    await reconcile({ ...world.ctx, table: others, compute }, { look: `owner#nobody#env#gpu-dev|${n}`, hint: true });
  }

  expect(gets).toBe(100_000);
  expect(world.queue.sent()).toBe(sent);
  expect(world.table.all()).toEqual(stored);
});

async function forbidden(): Promise<never> {
  throw new Error("Nobody asks for this because of a signal for nothing");
}

test.each([
  ["waits", () => jobAfter(10 * SECOND, { nodes: [] }), 0],
  ["prepares", () => jobAfter(10 * SECOND, { delays: { imageMs: 60 * SECOND } }), 0],
  ["is active", () => jobAfter(10 * SECOND), 0],
  ["is being removed", () => endedAfter(3 * SECOND, { delays: { removeMs: 60 * SECOND } }), 0],
  ["waits for its backup", () => endedAfter(30 * SECOND, { disk: "data", snapshotMs: 60 * SECOND }), 0],
  ["has just ended", () => endedAfter(30 * SECOND), 0],
  ["ended long ago", () => endedAfter(20 * 60 * SECOND), 0],
  // It lost its machine since its last look: that is seen once.
  ["does not answer any more", lostJob, 1],
])(
  "each of thousands of signals for a job that %s costs one or two reads, and a write only for news",
  async (_, make, news) => {
    const { world, key } = await make();
    const phase = (await world.table.get(key))?.phase;

    const costs = await getCosts(MANY, world, key);

    expect(costs["table.get"]).toBe(MANY);
    expect(costs["table.getMany"]).toBeLessThanOrEqual(MANY);
    expect([costs["table.put"], costs["queue.send"]]).toEqual([news, news]);
    expect((await world.table.get(key))?.phase).toBe(phase);
  },
);

async function lostJob() {
  const { world, key } = await jobAfter(10 * SECOND);
  for (const name of ["h100-1", "h100-2"]) world.compute.loseNode(name);
  return { world, key };
}

test("ten signals a second do not change the course of a job, and add no message to its own", async () => {
  const { world, key } = await jobAfter(0);
  const quiet = await jobAfter(0);

  for (let second = 0; second < 600; second++) {
    for (let n = 0; n < 10; n++) await world.queue.send("work", { look: keyText(key), hint: true });
    await world.advance(SECOND);
    await quiet.world.advance(SECOND);
  }

  // The test's own, and no others than a life without them has.
  expect(world.queue.sent() - 6_000).toBe(quiet.world.queue.sent());
  expect(await world.table.get(key)).toEqual(await quiet.world.table.get(quiet.key));
  expect(Math.max(...world.queue.outstanding().values())).toBeLessThanOrEqual(2);
});
