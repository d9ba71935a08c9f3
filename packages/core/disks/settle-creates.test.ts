import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { earliestConfirmableAt } from "../reconciler/pending-creates.ts";
import { createDisk } from "./create.ts";
import { findDiskName, readDirectory } from "./names/directory.ts";
import type { Disk } from "./record.ts";
import { deleteDisk } from "./requests.ts";
import { getDisk } from "./view.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const twoZones = newNodes({ h100: 2 }).map((node, index) => ({ ...node, zone: index === 0 ? "zone-a" : "zone-b" }));

async function submit(world: MemoryWorld, id: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
}

async function cancel(world: MemoryWorld, id: string): Promise<void> {
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function computeDisk(world: MemoryWorld): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

/** Makes the next volumes but loses the answers. */
function loseAnswers(world: MemoryWorld, count = 1): void {
  const { createVolume } = world.volumes;
  let left = count;
  const lossy: typeof createVolume = async (wanted) => {
    const volume = await createVolume(wanted);
    if (left-- > 0) throw new Error("timed out");
    return volume;
  };
  Object.assign(world.volumes, { createVolume: lossy });
}

/** A job that made its disk's volume and was cancelled before the volume was recorded. */
async function worldWithUnrecorded(options: Parameters<typeof memoryWorld>[0] = {}): Promise<MemoryWorld> {
  const world = await memoryWorld(options);
  loseAnswers(world);
  await submit(world, "one");
  await world.advance(1000);
  await cancel(world, "one");
  return world;
}

test("a volume is listed in its disk's record before its creation, and until 10 minutes after the last call", async () => {
  const world = await memoryWorld();
  const { createVolume } = world.volumes;
  const listed: Disk["making"][] = [];
  const watched: typeof createVolume = async (wanted) => {
    listed.push((await computeDisk(world)).making);
    return createVolume(wanted);
  };
  Object.assign(world.volumes, { createVolume: watched });

  await submit(world, "one");
  await world.advance(2000);
  const { volume, making } = await computeDisk(world);
  await world.advance(10 * MINUTE);
  const after10 = (await computeDisk(world)).making;
  await world.advance(4 * MINUTE);

  const token = expect.stringMatching(/^[0-9a-f]{32}-[0-9a-f]{12}$/);
  const entry = { kind: "volume", token, zone: "zone-a", sizeGb: 100, from: null, at: expect.any(Number) };
  expect(listed).toEqual([[entry]]);
  expect([making, after10]).toEqual([listed[0], listed[0]]);
  expect(await computeDisk(world)).toMatchObject({ volume, making: [] });
});

test("an unrecorded volume becomes that of its disk without one, and is purged with it", async () => {
  const world = await worldWithUnrecorded();
  const before = await computeDisk(world);

  await world.advance(15 * MINUTE);
  const adopted = await computeDisk(world);
  await deleteDisk(world.as("alice"), "data");
  await world.advance(31 * DAY);

  expect([before.volume, before.making.length]).toEqual([null, 1]);
  expect([adopted.volume, adopted.making]).toEqual([{ id: "vol-1", zone: "zone-a" }, []]);
  expect(world.volumes.volumeIds()).toEqual([]);
});

test("a purge finds unrecorded volumes and snapshots, although they are listed late, and keeps the name until then", async () => {
  const world = await worldWithUnrecorded({ settings: { diskRetentionDays: 0 }, listedAfterMs: 9 * MINUTE });
  const { owner, uid, making } = await computeDisk(world);
  const settles = earliestConfirmableAt(making);
  const findName = async () => findDiskName(await readDirectory(world.ctx, owner), uid);

  await deleteDisk(world.as("alice"), "data");
  await world.advance(settles - world.clock.now() - 5000);
  const early = [world.volumes.volumeIds(), await findName()];
  await createDisk(world.as("alice"), { name: "data", sizeGb: 1 });
  const aside = await findName();
  await world.advance(10_000);

  expect(early).toEqual([["vol-1"], "data"]);
  expect(aside).toBe(`data-${uid.slice(0, 8)}`);
  expect(world.volumes.history().map(({ kind }) => kind)).toEqual(["created", "removed"]);
  expect(await findName()).toBeUndefined();
  expect(await computeDisk(world)).toMatchObject({ phase: "available", sizeGb: 1 });
});

test("no resource is left over, whichever call in a disk's life dies before or after its effect", async () => {
  const left: unknown[] = [];
  for (let call = 1; call <= 40; call++) {
    for (const when of ["before", "after"] as const) {
      const world = await memoryWorld({ settings: { diskRetentionDays: 0 } });
      await submit(world, "one");
      dieAt(world, call, when);
      await pass(world, MINUTE);
      await requestCancel(world.as("alice"), "one");
      await pass(world, 5 * MINUTE);
      await deleteDisk(world.as("alice"), "data");
      await pass(world, 30 * MINUTE);
      left.push(...world.volumes.existing().map(({ id }) => `${id} after call ${call}, died ${when}`));
    }
  }

  expect(left).toEqual([]);
});

/** One call of a worker to the table or to volumes dies, with the rest of its step. */
function dieAt(world: MemoryWorld, call: number, when: "before" | "after"): void {
  let calls = 0;
  const dying =
    <Input extends unknown[], Output>(work: (...input: Input) => Promise<Output>) =>
    async (...input: Input): Promise<Output> => {
      calls += 1;
      if (calls === call && when === "before") throw new Error("died");
      const output = await work(...input);
      if (calls === call) throw new Error("died");
      return output;
    };
  const { table, volumes } = world;
  Object.assign(table, { get: dying(table.get), put: dying(table.put) });
  const { createVolume, createSnapshot, findVolume, listSnapshots, removeVolume } = volumes;
  const calledOnce = { createVolume: dying(createVolume), createSnapshot: dying(createSnapshot) };
  const others = {
    findVolume: dying(findVolume),
    listSnapshots: dying(listSnapshots),
    removeVolume: dying(removeVolume),
  };
  Object.assign(volumes, calledOnce, others);
}

/** Advances time even if a worker dies in it: its message comes back. */
async function pass(world: MemoryWorld, ms: number): Promise<void> {
  const end = world.clock.now() + ms;
  while (world.clock.now() < end) await world.advance(end - world.clock.now()).catch(() => undefined);
}

test("a purge waits for a snapshot with a lost answer, and removes it", async () => {
  const world = await memoryWorld({ settings: { diskRetentionDays: 0 }, listedAfterMs: 12 * MINUTE });
  await submit(world, "one");
  await world.advance(14 * MINUTE);
  await cancel(world, "one");
  await world.advance(11 * MINUTE);

  await deleteDisk(world.as("alice"), "data");
  await world.advance(60 * MINUTE);

  const made = world.volumes.history().filter(({ kind }) => kind === "snapshot").length;
  expect(made).toBe(2);
  expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
});

test("a snapshot that is listed too late for the end of its job becomes a backup of the disk", async () => {
  const world = await memoryWorld({ listedAfterMs: 12 * MINUTE });
  await submit(world, "one");
  await world.advance(14 * MINUTE);

  await cancel(world, "one");
  await world.advance(30 * MINUTE);

  const { snapshots, making } = await computeDisk(world);
  expect(snapshots.map(({ id }) => id)).toEqual(world.volumes.snapshotIds());
  expect([snapshots.length, making]).toEqual([2, []]);
});

test("a job in another zone creates its volume under another token, and the unused first one is removed", async () => {
  const world = await memoryWorld({ nodes: twoZones });
  loseAnswers(world);
  await submit(world, "one");
  await world.advance(1000);
  await cancel(world, "one");
  await createEnvironment(world.as("bob"), newEnvironment("keeps-zone-a"));
  await world.advance(2000);

  await submit(world, "two");
  await world.advance(5000);
  const { volume, making } = await computeDisk(world);
  const during = (await world.read("alice", "two")).phase;
  await world.advance(15 * MINUTE);

  expect([during, volume]).toEqual(["active", { id: "vol-2", zone: "zone-b" }]);
  expect(making.map((entry) => entry.kind === "volume" && entry.zone)).toEqual(["zone-a", "zone-b"]);
  expect([world.volumes.volumeIds(), (await computeDisk(world)).making]).toEqual([["vol-2"], []]);
});

test("an unrecorded volume that is attached is reported and never removed", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: twoZones, log });
  loseAnswers(world);
  await submit(world, "one");
  await world.advance(1000);
  await cancel(world, "one");
  await createEnvironment(world.as("bob"), newEnvironment("keeps-zone-a"));
  world.clock.advance(1);
  await submit(world, "two");
  await world.advance(5000);
  const { findVolume, listVolumes } = world.volumes;
  const attached: typeof listVolumes = async (token) =>
    (await listVolumes(token)).map((volume) => ({ ...volume, attached: true }));
  Object.assign(world.volumes, { listVolumes: attached });

  await world.advance(60 * MINUTE);

  expect(await findVolume("vol-1")).toBeDefined();
  expect((await computeDisk(world)).making).toMatchObject([{ zone: "zone-a" }]);
  const reported = log.lines.filter(({ level, fields }) => level === "error" && fields.volume === "vol-1");
  expect(reported.length).toBeGreaterThan(1);
});

test("a failed search delays no other step of its disk, and is dropped once it succeeds", async () => {
  const world = await worldWithUnrecorded();
  const { listVolumes } = world.volumes;
  Object.assign(world.volumes, { listVolumes: () => Promise.reject(new Error("AccessDenied")) });

  for (const id of ["two", "three", "four", "five"]) {
    await submit(world, id);
    await world.advance(5 * MINUTE);
    await cancel(world, id);
  }
  await world.advance(20 * MINUTE);
  const during = await computeDisk(world);
  Object.assign(world.volumes, { listVolumes });
  await world.advance(20 * MINUTE);

  expect(during).toMatchObject({ fault: null, snapshots: [{}, {}, {}], making: [{ kind: "volume" }] });
  expect((await computeDisk(world)).making).toEqual([]);
});
