import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import type { Disk } from "../../../disks/record.ts";
import { isReplaceable } from "../../../disks/replaceable.ts";
import { getDisk } from "../../../disks/view.ts";
import { estimateStart } from "../../../pools/forecast/estimate.ts";
import { readMakeable } from "../../../pools/ledger/ledger.ts";
import type { NodeGroup } from "../../../settings.ts";
import { HOUR_MS, MINUTE_MS } from "../../../units.ts";
import { reservation } from "../../record/policy.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const settings = { diskVolumeIdleDays: 7 };

/** A world with the machine `h100-a` in zone-a, and a disk of alice in that zone that holds the text "work". */
async function worldWithDisk(options: WorldOptions = {}): Promise<MemoryWorld> {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("no node");
  const world = await memoryWorld({
    nodes: [{ ...node, name: "h100-a", zone: "zone-a", providerId: "aws:///zone-a/i-h100-a" }],
    settings,
    ...options,
  });
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await world.advance(2_000);
  world.volumes.write((await readDisk(world)).volume?.id ?? "", "work");
  await requestCancel(world.as("alice"), "first");
  // Until then, the disk's volume may not be the only one that was made.
  await world.advance(15 * MINUTE_MS);
  return world;
}

async function readDisk(world: MemoryWorld): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

/** Occupies the machine of zone-a for these hours. */
async function fill(world: MemoryWorld, hours: number): Promise<void> {
  await createEnvironment(world.as("bob"), newEnvironment("long", { hours }));
  await world.advance(5_000);
}

function joins(world: MemoryWorld, zone: string): void {
  const [node] = newNodes({ h100: 1 });
  if (node)
    world.compute.setNode({ ...node, name: `h100-${zone}`, zone, uid: `uid-${zone}`, providerId: `memory:///${zone}` });
}

async function wait(world: MemoryWorld, minutes: number): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) await world.advance(MINUTE_MS);
}

test("a job starts in another zone if its disk's zone has no machine for hours, with everything on its disk", async () => {
  const world = await worldWithDisk();
  const before = (await readDisk(world)).volume?.id;
  await fill(world, 12);
  joins(world, "zone-b");
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 7);

  const { phase, zone, run, events } = await world.read("alice", "second");
  const { volume, idleVolume } = await readDisk(world);
  expect([phase, zone, run.machines.map(({ name }) => name)]).toEqual(["active", "zone-b", ["h100-zone-b"]]);
  expect([volume?.zone, idleVolume]).toEqual(["zone-b", undefined]);
  expect(world.volumes.findContent(volume?.id ?? "")).toMatchObject({ content: "work" });
  expect(world.volumes.volumeIds()).not.toContain(before);
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "Disk 'data' leaves zone zone-a, because the job starts sooner in another one",
  );
});

test("an estimate for a disk counts the zones where the disk would be made again", async () => {
  const world = await worldWithDisk();
  await fill(world, 12);
  const { size } = newEnvironment("second");
  const estimate = async () => {
    await world.advance(MINUTE_MS);
    const found = await estimateStart(world.as("alice"), { size, disk: "data" }, []);
    return found.kind === "estimate" ? (found.answer.p50 ?? Infinity) - world.clock.now() : undefined;
  };
  const before = await estimate();
  joins(world, "zone-b");
  const after = await estimate();
  const { savedIn, ...unsaved } = await readDisk(world);
  await world.table.put({ ...unsaved, writers: ["unsaved", ...unsaved.writers.slice(0, 7)] });

  expect([before && before > 11 * HOUR_MS, after]).toEqual([true, 0]);
  expect([savedIn !== undefined, (await estimate()) ?? 0]).toEqual([true, expect.toSatisfy((ms) => ms > 11 * HOUR_MS)]);
});

test("a job waits for its disk's zone if that costs it a few minutes only", async () => {
  const world = await worldWithDisk();
  await fill(world, 1);
  await world.advance(50 * MINUTE_MS);
  joins(world, "zone-b");
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 12);

  expect((await readDisk(world)).volume?.zone).toBe("zone-a");
  expect(await world.read("alice", "second")).toMatchObject({ phase: "active", zone: "zone-a" });
});

test.each([
  ["idle volumes are kept", { diskVolumeIdleDays: 0 }],
  ["nothing is to be removed", { ...settings, orphansDryRun: true }],
])("a job waits for its disk's zone if %s", async (_, changed) => {
  const world = await worldWithDisk({ settings: changed });
  await fill(world, 12);
  joins(world, "zone-b");
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 20);

  expect((await readDisk(world)).volume?.zone).toBe("zone-a");
  expect((await world.read("alice", "second")).phase).toBe("queued");
});

test("a job waits for its disk's zone if no snapshot has everything on the disk", async () => {
  const world = await worldWithDisk();
  const { savedIn, ...disk } = await readDisk(world);
  await world.table.put({ ...disk, writers: ["unsaved", ...disk.writers.slice(0, 7)] });
  await fill(world, 12);
  joins(world, "zone-b");
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 20);

  expect(savedIn).toBeDefined();
  expect((await readDisk(world)).volume?.zone).toBe("zone-a");
  expect((await world.read("alice", "second")).phase).toBe("queued");
});

test("a job waits for its disk's zone if the disk's backup was removed outside of Berth", async () => {
  const world = await worldWithDisk();
  await fill(world, 12);
  joins(world, "zone-b");
  await world.volumes.removeSnapshot((await readDisk(world)).savedIn ?? "");
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 20);

  const { volume, idleVolume } = await readDisk(world);
  expect([volume?.zone, idleVolume]).toEqual(["zone-a", undefined]);
  expect((await world.read("alice", "second")).phase).toBe("queued");
});

test("an interrupted job that wrote to its disk waits for the disk's zone", async () => {
  const world = await worldWithDisk();
  const policy = { ...reservation, onInterruption: "requeue" as const };
  const wanted = newEnvironment("second", { disk: "data", hours: 12, command: "python train.py" });
  await createEnvironment(world.as("alice"), { ...wanted, policy });
  await wait(world, 1);
  world.volumes.write((await readDisk(world)).volume?.id ?? "", "more work");
  const notice = { machine: "i-h100-a", kind: "spot", at: world.clock.now() } as const;
  await world.queue.send("work", { look: "machine|-", notice });
  joins(world, "zone-b");
  await wait(world, 30);

  const { volume } = await readDisk(world);
  const { phase, disk } = await world.read("alice", "second");
  expect([phase, disk?.written, volume?.zone]).toEqual(["queued", true, "zone-a"]);
  expect(world.volumes.findContent(volume?.id ?? "")).toMatchObject({ content: "more work" });
});

test("a job leaves a zone whose new machine did not come, although the next try is minutes away", async () => {
  const group: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 5 * MINUTE_MS, zones: ["zone-a"] };
  const world = await worldWithDisk({ settings: { ...settings, nodeGroups: [group] } });
  world.compute.removeNode("h100-a");
  await wait(world, 2);
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 11);
  const { zoneShortages = {} } = await readMakeable(world.ctx, "h100");
  joins(world, "zone-b");
  await wait(world, 4);

  expect(Object.keys(zoneShortages)).toEqual(["zone-a"]);
  expect(await world.read("alice", "second")).toMatchObject({ phase: "active", zone: "zone-b" });
  expect(world.volumes.findContent((await readDisk(world)).volume?.id ?? "")).toMatchObject({ content: "work" });
});

test("a new disk whose machine does not come is made in another zone, and its empty volume is removed", async () => {
  const group: NodeGroup = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE_MS, zones: ["zone-a"] };
  const world = await memoryWorld({ nodes: [], settings: { ...settings, nodeGroups: [group] } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await wait(world, 12);
  const before = (await readDisk(world)).volume;
  const { zoneShortages = {} } = await readMakeable(world.ctx, "h100");
  joins(world, "zone-b");
  await wait(world, 12);

  const { volume, idleVolume, snapshots } = await readDisk(world);
  expect([before?.zone, Object.keys(zoneShortages)]).toEqual(["zone-a", ["zone-a"]]);
  expect(await world.read("alice", "one")).toMatchObject({ phase: "active", zone: "zone-b" });
  expect([volume?.zone, idleVolume, snapshots]).toEqual(["zone-b", undefined, []]);
  expect(world.volumes.volumeIds()).toEqual([volume?.id]);
});

test("a volume that another job had in the meantime does not count as empty", async () => {
  const world = await memoryWorld({ settings });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(2_000);
  const before = await readDisk(world);
  const { uid } = await world.read("alice", "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(15 * MINUTE_MS);
  const unsaved = { ...(await readDisk(world)), snapshots: [], savedIn: undefined };

  const isEmpty = (disk: Disk) => isReplaceable({ ...disk, making: [] }, uid);
  expect([isEmpty(before), isEmpty(unsaved)]).toEqual([true, false]);
});

test("a job whose disk lost its volume while it was submitted waits in all zones", async () => {
  const world = await worldWithDisk();
  await fill(world, 12);
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 1);
  const disk = await readDisk(world);
  const gone: Disk = { ...disk, volume: null, writers: ["gone", ...disk.writers.slice(0, 7)] };
  await world.table.put(gone);
  joins(world, "zone-b");
  await wait(world, 6);

  expect(await world.read("alice", "second")).toMatchObject({ phase: "active", zone: "zone-b" });
});

test("a volume that a run was given while another worker let it go stays", async () => {
  const world = await worldWithDisk();
  const before = (await readDisk(world)).volume?.id ?? "";
  await fill(world, 12);
  joins(world, "zone-b");
  const { listSnapshots } = world.ctx.volumes;
  let meanwhile: string | undefined;
  Object.assign(world.ctx.volumes, {
    listSnapshots: async (id: string) => {
      if (id === before && meanwhile === undefined) {
        meanwhile = "begun";
        await requestCancel(world.as("bob"), "long");
        // A step that took longer would not be written in any case.
        await world.advance(20_000);
        meanwhile = (await world.read("alice", "second")).phase;
      }
      return listSnapshots(id);
    },
  });
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 20);

  const { volume, idleVolume } = await readDisk(world);
  expect([meanwhile, volume?.id, idleVolume]).toEqual(["active", before, undefined]);
  expect(await world.read("alice", "second")).toMatchObject({ phase: "active", zone: "zone-a" });
});

test("waiting for other zones costs at most one look a minute, and one in five minutes later", async () => {
  const world = await worldWithDisk();
  await fill(world, 24);
  await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
  await wait(world, 60);
  const before = (await world.read("alice", "second")).looks;
  await world.advance(HOUR_MS);

  const after = (await world.read("alice", "second")).looks;
  expect([before <= 25, after - before <= 13]).toEqual([true, true]);
});
