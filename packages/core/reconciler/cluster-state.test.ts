import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newNodes } from "#tests/worlds/memory-world.ts";
import { refreshCapacity } from "../pools/capacity/capacity.ts";
import { clusterKey } from "../store/keys.ts";
import { readClusterState } from "./cluster-state.ts";

const MINUTE = 60_000;

/** Returns a world with a cluster that can be switched off, and the log of its listings. */
async function started() {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
  const { listNodes } = world.compute;
  const answer = (isThere: boolean) => {
    const away = async () => Promise.reject(new Error("connect ECONNREFUSED 10.1.2.3:443"));
    Object.assign(world.ctx, { compute: { ...world.compute, listNodes: isThere ? listNodes : away } });
  };
  return { world, log, answer };
}

const list = (world: MemoryWorld) => refreshCapacity(world.ctx).catch((error: unknown) => error);
const listWrites = (world: MemoryWorld) => world.table.all().filter(({ pk }) => pk === clusterKey.pk);

test("records nothing for a cluster that always answered", async () => {
  const { world } = await started();

  await list(world);

  expect(await readClusterState(world.ctx)).toBeUndefined();
  expect(listWrites(world)).toEqual([]);
});

test("records an outage once, and logs each failed listing, then the end, without addresses of the cluster", async () => {
  const { world, log, answer } = await started();
  answer(false);
  const beganAt = world.clock.now();
  const error = await list(world);
  world.clock.advance(MINUTE);
  await list(world);
  const during = await readClusterState(world.ctx);
  answer(true);
  const endedAt = world.clock.now();
  await list(world);
  world.clock.advance(MINUTE);
  await list(world);

  expect(String(error)).toContain("ECONNREFUSED");
  expect(during).toMatchObject({ reachable: false, since: beganAt });
  expect(await readClusterState(world.ctx)).toMatchObject({ reachable: true, since: endedAt });
  expect(JSON.stringify(listWrites(world))).not.toContain("10.1.2.3");
  const events = log.lines.map(({ event }) => event).filter((event) => /^cluster (un)?reachable$/.test(event));
  expect(events).toEqual(["cluster unreachable", "cluster unreachable", "cluster reachable"]);
});

test("a listing succeeds although the table rejects the record of the state", async () => {
  const { world, answer } = await started();
  answer(false);
  const put = async () => Promise.reject(new Error("away"));
  Object.assign(world.ctx, { table: { ...world.ctx.table, put } });

  const error = await list(world);

  expect(String(error)).toContain("ECONNREFUSED");
});
