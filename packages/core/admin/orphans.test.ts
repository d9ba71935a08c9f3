import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#testing/memory-world.ts";
import { createEnvironment } from "../environments/create.ts";
import type { Environment } from "../environments/record.ts";
import { requestCancel } from "../environments/requests.ts";
import { environmentKey, keyText } from "../keys.ts";
import { findOrphans, readOrphans } from "./orphans.ts";

const HOUR = 3_600_000;

/** Compute of this life in the cluster, whatever its record says. */
async function runOf(world: MemoryWorld, { uid, key, run = 1 }: { uid: string; key: string; run?: number }) {
  await world.compute.apply({
    ...{ uid, run, key, name: "stray", pool: "h100", instanceType: "p5.48xlarge", image: "i", command: undefined },
    ...{
      env: {},
      shares: [{ node: "h100-1", units: 8 }],
      gpusPerMachine: 8,
      mounts: [],
      ports: [],
      resources: null,
      until: world.clock.now() + 9 * HOUR,
    },
  });
}

function keyTextOf(environment: Environment): string {
  return keyText(environment);
}

test("what runs and is wanted is no orphan, at any time of its life", async () => {
  const world = await memoryWorld({ delays: { bindMs: 2000, imageMs: 3000, removeMs: 4000 } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 0.5 }));

  for (let minute = 0; minute < 45; minute++) {
    await world.advance(60_000);
    await findOrphans(world.ctx);
    expect(await readOrphans(world.ctx), `minute ${minute}`).toMatchObject({ runs: [], records: [] });
  }
  expect((await world.read("alice", "one")).phase).toBe("expired");
});

test("compute without a record, of another life, of another run or of an ended record is listed with its reason", async () => {
  const world = await memoryWorld({ refusesSecondStart: false });
  const living = await createEnvironment(world.as("alice"), newEnvironment("living"));
  const ended = await createEnvironment(world.as("bob"), newEnvironment("ended"));
  await world.advance(60_000);
  await requestCancel(world.as("bob"), "ended");
  await world.advance(2 * 60_000);
  const unknown = keyText(environmentKey("0".repeat(32), "gpu-dev", "gone"));

  await runOf(world, { uid: "1".repeat(32), key: unknown });
  await runOf(world, { uid: "2".repeat(32), key: keyTextOf(living) });
  await runOf(world, { uid: living.uid, key: keyTextOf(living), run: 7 });
  await runOf(world, { uid: ended.uid, key: keyTextOf(ended) });
  await findOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(
    Object.fromEntries((report?.runs ?? []).map(({ uid, run, why }) => [`${uid.slice(0, 3)}-r${run}`, why])),
  ).toEqual({
    "111-r1": "it has no record",
    "222-r1": "its record is of another life",
    [`${living.uid.slice(0, 3)}-r7`]: "its record is at run 1",
    [`${ended.uid.slice(0, 3)}-r1`]: "its record is cancelled",
  });
  expect(report?.runs.map(({ gpus }) => gpus)).toEqual(expect.arrayContaining([null, 8]));
  expect(report?.records).toEqual([]);
});

test("a record whose compute is not there is listed the other way round, and nothing is removed or changed", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(2 * 60_000);
  const before = await world.read("alice", "one");
  await world.compute.remove(environment.uid, 1, { graceSeconds: 0, force: true });
  await runOf(world, { uid: "1".repeat(32), key: "owner#x#env#gpu-dev|y" });

  for (let again = 0; again < 3; again++) await findOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(report?.records).toMatchObject([
    {
      uid: environment.uid,
      run: 1,
      key: keyTextOf(environment),
      why: "it is active and nothing of it runs",
      sightings: 3,
    },
  ]);
  expect(world.compute.isLive("1".repeat(32), 1)).toBe(true);
  expect(await world.read("alice", "one")).toEqual(before);
});

test("GPU-hours count from the first sighting to the last, and stay when the orphan is gone", async () => {
  const world = await memoryWorld({ refusesSecondStart: false });
  const ended = await createEnvironment(world.as("alice"), newEnvironment("ended"));
  await world.advance(60_000);
  await requestCancel(world.as("alice"), "ended");
  await world.advance(20 * 60_000);
  await findOrphans(world.ctx);
  world.clock.advance(HOUR);
  await runOf(world, { uid: ended.uid, key: keyTextOf(ended) });

  await findOrphans(world.ctx);
  const first = await readOrphans(world.ctx);
  world.clock.advance(HOUR / 2);
  await findOrphans(world.ctx);
  const second = await readOrphans(world.ctx);
  await world.compute.remove(ended.uid, 1, { graceSeconds: 0, force: true });
  world.clock.advance(HOUR);
  await findOrphans(world.ctx);
  const third = await readOrphans(world.ctx);

  expect(first).toMatchObject({ gpuHours: 0, runs: [{ sightings: 1 }] });
  expect(second).toMatchObject({ gpuHours: 4, runs: [{ sightings: 2, firstSeenAt: first?.checkedAt }] });
  expect(third).toMatchObject({ gpuHours: 4, runs: [] });
});
