import { expect, it } from "vitest";
import { memoryWorld, newEnvironment, nodesOf } from "#testing/memory-world.ts";
import { createEnvironment } from "../verbs/create.ts";
import { requestCancel } from "../verbs/requests.ts";

it("backs a disk up that a part of a withdrawn run may have written to, though the job is cancelled in the queue", async () => {
  const { world, uid } = await withdrawn(16);

  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
  expect(world.volumes.snapshotIds()).toHaveLength(1);
  expect(world.compute.isLive(uid, 1)).toBe(false);
});

it("makes no backup of a disk whose only machine was never bound", async () => {
  const { world } = await withdrawn(8);

  await requestCancel(world.as("alice"), "one");
  await world.advance(60_000);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "cancelled", disk: { released: true } });
  expect(world.volumes.snapshotIds()).toEqual([]);
});

/** A job with a disk whose grant was given back, of several machines after its command began on the first. */
async function withdrawn(gpus: number) {
  const world = await memoryWorld({ nodes: nodesOf({ h100: gpus / 8 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { gpus, disk: "data" }));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available", first: 1 });
  await world.advance(30_000);
  expect((await world.compute.observe(uid, 1))?.started).toBe(gpus > 8);
  await world.advance(60_000);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "queued", run: { n: 2 } });
  return { world, uid };
}
