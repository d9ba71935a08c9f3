import { expect, it } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { restoreDisk } from "../../../disks/backups/from-snapshot.ts";
import { getDisk } from "../../../disks/view.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

it("backs up a disk that a part of a withdrawn run may have written to, even if the job is cancelled in the queue", async () => {
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

it("reports a disk that a part of a withdrawn run may have written to as lost, and does not restore its snapshot", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("first", { disk: "data" }));
  await world.advance(2_000);
  await requestCancel(alice, "first");
  await world.advance(10_000);
  const snapshotId = (await getDisk(alice, "data")).disk.snapshots[0]?.id ?? "";
  const ids = { id: world.ctx.ids.uuid4(), uid: world.ctx.ids.uid() };
  await restoreDisk(alice, "data", { snapshotId, newName: "copy" }, ids);
  const before = world.volumes.volumeIds();
  const { uid } = await createEnvironment(alice, newEnvironment("one", { gpus: 16, disk: "copy" }));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available", first: 1 });
  await world.advance(30_000);
  expect((await world.compute.observe(uid, 1))?.started).toBe(true);
  const made = world.volumes.volumeIds().filter((id) => !before.includes(id));
  const { findVolume } = world.volumes;
  Object.assign(world.volumes, { findVolume: async (id: string) => (made.includes(id) ? undefined : findVolume(id)) });

  await world.advance(25 * 60_000);

  expect((await world.read("alice", "one")).end.outcome?.reason).toMatch(
    /^Disk 'copy' is lost: its volume is gone; restore its snapshot under another name until /,
  );
  expect(made).toHaveLength(1);
  expect(world.volumes.volumeIds()).toEqual([...before, ...made]);
});

/** A job with a disk and a withdrawn grant; of several machines, the first had begun its command. */
async function withdrawn(gpus: number) {
  const world = await memoryWorld({ nodes: newNodes({ h100: gpus / 8 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one", { gpus, disk: "data" }));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available", first: 1 });
  await world.advance(30_000);
  expect((await world.compute.observe(uid, 1))?.started).toBe(gpus > 8);
  await world.advance(60_000);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "queued", run: { n: 2 } });
  return { world, uid };
}
