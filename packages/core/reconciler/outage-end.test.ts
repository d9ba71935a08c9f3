import { expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { refreshCapacity } from "../pools/capacity/capacity.ts";
import { clusterKey } from "../store/keys.ts";
import { readClusterState } from "./cluster-state.ts";

const MINUTE = 60_000;
const CLUSTER = ["apply", "observe", "remove", "listRuns", "extend", "begin", "setAccess"] as const;
/** Long after the backoff has reached five minutes. */
const OUTAGE = 40 * MINUTE;

async function listPhases(world: MemoryWorld, ids: readonly string[]): Promise<string[]> {
  return Promise.all(ids.map(async (id) => (await world.read("alice", id)).phase));
}

async function submitInOutage(count: number) {
  const world = await memoryWorld({ nodes: newNodes({ h100: count }) });
  const ids = Array.from({ length: count }, (_, n) => `job-${n}`);
  const back = takeAway(world.compute, ...CLUSTER);
  for (const id of ids) {
    await createEnvironment(world.as("alice"), newEnvironment(id));
    await world.advance(17_000);
  }
  await world.advance(OUTAGE);
  return { world, ids, back };
}

/** Advances by seconds until the state of the first job changes. */
async function untilFirst(world: MemoryWorld, ids: readonly string[], phase: string): Promise<string[]> {
  for (let seconds = 0; seconds < 600; seconds++) {
    const phases = await listPhases(world, ids);
    if (phases.some((name) => name !== phase)) return phases;
    await world.advance(1_000);
  }
  throw new Error("No look was answered");
}

test("jobs submitted during an outage of the cluster start together once one reconcile is answered", async () => {
  const { world, ids, back } = await submitInOutage(12);
  back();

  await untilFirst(world, ids, "preparing");
  await world.advance(3_000);

  expect(new Set(await listPhases(world, ids))).toEqual(new Set(["active"]));
});

test("jobs cancelled during an outage return their GPUs together", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 6 }) });
  const ids = ["a", "b", "c", "d", "e", "f"];
  for (const id of ids) await createEnvironment(world.as("alice"), newEnvironment(id));
  await world.advance(MINUTE);
  const back = takeAway(world.compute, ...CLUSTER);
  for (const id of ids) {
    await requestCancel(world.as("alice"), id);
    await world.advance(23_000);
  }
  await world.advance(OUTAGE);
  back();

  await untilFirst(world, ids, "stopping");
  await world.advance(5_000);

  expect(new Set(await listPhases(world, ids))).toEqual(new Set(["cancelled"]));
});

test("one reconcile sends the hints at the end of an outage for all", async () => {
  const { world, ids, back } = await submitInOutage(12);
  const hinted: string[] = [];
  const { send } = world.queue;
  Object.assign(world.queue, {
    send: (...input: Parameters<typeof send>) => {
      if (input[1].hint) hinted.push(input[1].look);
      return send(...input);
    },
  });
  Object.assign(world.compute, { takeChanged: () => [] });
  back();

  await untilFirst(world, ids, "preparing");
  await world.advance(3_000);

  expect(hinted.length).toBeGreaterThan(6);
  expect(new Set(hinted).size).toBe(hinted.length);
});

test("the next listing of machines makes every record due that the outage delayed", async () => {
  const { world, ids, back } = await submitInOutage(3);
  const listingBack = takeAway(world.compute, "listNodes");
  await expect(refreshCapacity(world.ctx)).rejects.toThrow("connect ETIMEDOUT");
  listingBack();
  back();

  await refreshCapacity(world.ctx);
  await world.advance(2_000);

  expect(await listPhases(world, ids)).toEqual(["active", "active", "active"]);
});

test("a failure to send the hints does not affect the reconcile that saw the end", async () => {
  const { world, ids, back } = await submitInOutage(2);
  const { get } = world.table;
  Object.assign(world.table, {
    get: (key: Parameters<typeof get>[0]) => (key.pk === clusterKey.pk ? Promise.reject(new Error("away")) : get(key)),
  });
  back();

  await world.advance(6 * MINUTE);

  expect(await listPhases(world, ids)).toEqual(["active", "active"]);
});

test("limits the hints at the end of a large outage, and spreads them over seconds", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 230 }) });
  const back = takeAway(world.compute, ...CLUSTER);
  for (let n = 0; n < 230; n++) await createEnvironment(world.as("alice"), newEnvironment(`job-${n}`));
  await world.advance(6 * MINUTE);
  const delays: number[] = [];
  let [sending, mostSending] = [0, 0];
  const { send } = world.queue;
  Object.assign(world.queue, {
    send: async (...input: Parameters<typeof send>) => {
      if (input[1].hint) {
        delays.push(input[2]?.delaySeconds ?? 0);
        mostSending = Math.max(mostSending, ++sending);
        await Promise.resolve();
        sending--;
      }
      return send(...input);
    },
  });
  Object.assign(world.compute, { takeChanged: () => [] });
  back();

  while (delays.length === 0) await world.advance(1_000);

  const perSecond = Map.groupBy(delays, (seconds) => seconds);
  expect(delays.length).toBeGreaterThan(100);
  expect(delays.length).toBeLessThanOrEqual(200);
  expect(Math.max(...[...perSecond.values()].map(({ length }) => length))).toBeLessThanOrEqual(11);
  expect(mostSending).toBeLessThanOrEqual(20);
});

test("an answered reconcile ends the outage that a listing recorded, and the next listing sends no hints", async () => {
  const { world, ids, back } = await submitInOutage(3);
  const listingBack = takeAway(world.compute, "listNodes");
  await expect(refreshCapacity(world.ctx)).rejects.toThrow("connect ETIMEDOUT");
  const during = await readClusterState(world.ctx);
  listingBack();
  back();
  await untilFirst(world, ids, "preparing");
  const after = await readClusterState(world.ctx);
  await world.advance(5_000);

  await refreshCapacity(world.ctx);

  expect([during?.reachable, after?.reachable]).toEqual([false, true]);
  expect(await readClusterState(world.ctx)).toEqual(after);
});

test("leaves a record alone that waits for something other than the cluster", async () => {
  const { world, ids, back } = await submitInOutage(2);
  await createEnvironment(world.as("alice"), newEnvironment("behind"));
  await world.advance(MINUTE);
  const before = await world.read("alice", "behind");
  back();

  await untilFirst(world, ids, "preparing");

  const after = await world.read("alice", "behind");
  expect([before.phase, after.phase, after.unseen]).toEqual(["queued", "queued", undefined]);
});
