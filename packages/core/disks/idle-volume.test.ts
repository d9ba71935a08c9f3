import { beforeEach, describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newActor, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { environmentKey, keyText } from "../store/keys.ts";
import { writeRecord } from "../store/write-record.ts";
import { DAY_MS, HOUR_MS, MINUTE_MS } from "../units.ts";
import { requestSnapshot } from "./backups/on-demand.ts";
import { idleAt } from "./idle-volume.ts";
import type { Disk } from "./record.ts";
import { deleteDisk } from "./requests.ts";
import { getDisk } from "./view.ts";

const IDLE_HOURS = 6;
/** Time after which no search for an earlier creation is left. */
const LISTED = 15 * MINUTE_MS;
const settings = { diskVolumeIdleDays: IDLE_HOURS / 24 };

let world: MemoryWorld;

beforeEach(async () => {
  world = await memoryWorld({ settings });
});

async function use(id: string): Promise<void> {
  await start(id);
  world.volumes.write(await volumeId(), id);
  await cancel(id);
}

async function start(id: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
  await world.advance(2000);
}

async function cancel(id: string): Promise<void> {
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function disk(): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

async function volumeId(): Promise<string> {
  return (await disk()).volume?.id ?? "";
}

/** Lets time pass in which the disk is unused. Its reconcile tries again after a day. */
async function idle(hours = IDLE_HOURS + 1): Promise<void> {
  await world.advance(hours * HOUR_MS);
}

describe("the volume of a disk that is unused for DISK_VOLUME_IDLE_DAYS", () => {
  test("is removed, and the next job has everything in a new one", async () => {
    await use("one");
    const [before, backup] = [await volumeId(), (await disk()).snapshots.at(-1)?.id];

    await idle();

    const { volume, idleVolume, snapshots } = await disk();
    expect([volume, idleVolume, world.volumes.volumeIds()]).toEqual([null, undefined, []]);
    expect(snapshots.map(({ id }) => id)).toEqual([backup]);

    await start("two");

    expect(await volumeId()).not.toBe(before);
    expect(world.volumes.findContent(await volumeId())).toEqual({ content: "one", from: backup });
    expect((await world.read("alice", "two")).phase).toBe("active");
  });

  test("is made again where the next job gets a machine, and not where it was", async () => {
    const [node] = newNodes({ h100: 1 });
    if (!node) throw new Error("no node");
    world = await memoryWorld({ settings, nodes: [node] });
    await use("one");
    expect((await disk()).volume?.zone).toBe("zone-a");
    await idle();

    world.compute.removeNode(node.name);
    world.compute.setNode({ ...node, name: "h100-b", uid: "node-h100-b", zone: "zone-b" });
    await world.advance(2 * MINUTE_MS);
    await start("two");

    expect((await disk()).volume?.zone).toBe("zone-b");
    expect((await world.read("alice", "two")).phase).toBe("active");
  });

  test("stays a moment before, and counts from the end of the last job", async () => {
    await use("one");
    const before = await volumeId();
    await idle(IDLE_HOURS - 1);
    await start("two");
    await cancel("two");

    await idle(IDLE_HOURS - 1);
    expect(await volumeId()).toBe(before);

    await idle(2);
    expect(await volumeId()).toBe("");
  });

  test("stays without the setting", async () => {
    world = await memoryWorld();
    await use("one");

    await idle(48);

    expect(world.volumes.volumeIds()).toEqual([await volumeId()]);
  });

  test("stays while a job has the disk", async () => {
    await use("one");
    await idle(IDLE_HOURS - 1);
    const environment = newEnvironment("two", { disk: "data", hours: 12 });
    await createEnvironment(world.as("alice"), environment);

    await idle(10);

    expect((await world.read("alice", "two")).phase).toBe("active");
    expect(world.volumes.volumeIds()).toEqual([await volumeId()]);
  });
});

describe("idleAt", () => {
  const holder = { uid: "0".repeat(32), key: "", id: "one" };
  const pending = { id: "snap-later", at: 2, completed: false };

  /** A disk whose volume may go, once it was unused for long. */
  async function usedDisk(): Promise<Disk> {
    await use("one");
    await world.advance(LISTED);
    return disk();
  }

  test("is the end of the last job and the idle time", async () => {
    const used = await usedDisk();

    expect(idleAt(used, 2)).toBe((used.lastUsedAt ?? 0) + 2 * DAY_MS);
  });

  test.each<[string, (disk: Disk) => Partial<Disk>]>([
    ["a job has the disk", () => ({ heldBy: holder })],
    ["a job waits for it", () => ({ next: holder })],
    ["it is deleted", () => ({ phase: "deleted" })],
    ["it has no volume", () => ({ volume: null })],
    ["its volume is missing", () => ({ volumeMissedAt: 1 })],
    ["it was lost", () => ({ lostAt: 1 })],
    ["its backup is to be made again", () => ({ lost: { of: "a", attempt: 1, until: null, gaveUp: null } })],
    ["a snapshot is requested", () => ({ snapshotRequest: { operation: "op-1", at: 1, attempt: 0, until: null } })],
    ["an earlier volume is being removed", () => ({ idleVolume: { id: "vol-0" } })],
    [
      "a snapshot may have been made unseen",
      () => ({ making: [{ kind: "snapshot", token: "t", from: "vol-1", at: 1 }] }),
    ],
    ["a snapshot is pending", ({ snapshots }) => ({ snapshots: [...snapshots, pending] })],
    ["no snapshot is known to have everything", () => ({ savedIn: undefined })],
    [
      "that snapshot is not seen",
      ({ snapshots }) => ({ snapshots: snapshots.map((each) => ({ ...each, missedAt: 1 })) }),
    ],
    [
      "that snapshot is about to be removed",
      ({ snapshots }) => ({ snapshots: snapshots.map((each) => ({ ...each, removingUntil: 1 })) }),
    ],
    [
      "the newest backup is another one",
      ({ snapshots }) => ({ snapshots: [...snapshots, { ...pending, at: Number.MAX_SAFE_INTEGER, completed: true }] }),
    ],
  ])("is null if %s", async (_, changes) => {
    const before = await usedDisk();

    expect(idleAt({ ...before, ...changes(before) }, 2)).toBeNull();
  });

  test("counts a later snapshot on demand, which has everything too", async () => {
    const before = await usedDisk();
    const onDemand = { ...pending, at: Number.MAX_SAFE_INTEGER, completed: true, onDemand: true } as const;

    expect(idleAt({ ...before, snapshots: [...before.snapshots, onDemand] }, 2)).not.toBeNull();
  });
});

describe("an unused volume stays", () => {
  test("if its latest backup failed for good", async () => {
    await start("one");
    world.volumes.write(await volumeId(), "one");
    world.volumes.failSnapshotsLater(9);
    await cancel("one");
    await world.advance(HOUR_MS);
    expect((await disk()).lost?.gaveUp).toMatch(/failed 3 times|could not be made/);

    await idle(24);

    expect(world.volumes.findContent(await volumeId())?.content).toBe("one");
  });

  test("if the last job ended while the volume was missing, and it appears again", async () => {
    await use("one");
    await world.advance(LISTED);
    await start("two");
    const volume = await volumeId();
    world.volumes.write(volume, "two");
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await cancel("two");
    await world.advance(HOUR_MS);
    Object.assign(world.volumes, { findVolume });
    await world.advance(DAY_MS);
    const { heldBy, lost } = await disk();
    expect([heldBy, lost, await volumeId()]).toEqual([null, undefined, volume]);

    await idle(24);

    expect(world.volumes.findContent(volume)?.content).toBe("two");
    expect((await disk()).volume?.id).toBe(volume);
  });

  test("if a holder without a record may have written to it", async () => {
    await use("one");
    const holder = {
      uid: "0".repeat(32),
      key: keyText(environmentKey(newActor("alice").uid, "gpu-dev", "gone")),
      id: "gone",
    };
    await writeRecord(world.ctx, { ...(await disk()), heldBy: holder });
    // A job that never opens the disk gives it back.
    for (const node of newNodes({ h100: 2 })) world.compute.setNode({ ...node, ready: false });
    await world.advance(2 * MINUTE_MS);
    await start("two");
    expect((await world.read("alice", "two")).phase).toBe("queued");
    await cancel("two");
    expect((await disk()).heldBy).toBeNull();

    await idle(24);

    expect(await volumeId()).not.toBe("");
  });

  test("if its backup is not seen, and until it is seen again", async () => {
    await use("one");
    const backup = (await disk()).snapshots.at(-1)?.id ?? "";
    world.volumes.hideSnapshot(backup, 10 * HOUR_MS);

    await idle(9);
    expect(await volumeId()).not.toBe("");

    await idle(24);
    expect(await volumeId()).toBe("");
  });

  test("if it has a snapshot that its record does not know", async () => {
    await use("one");
    const { createSnapshot } = world.volumes;
    await world.advance(HOUR_MS);
    await createSnapshot(await volumeId(), { name: "data", disk: (await disk()).uid, attempt: "unknown-1" });

    await idle(24);

    expect(await volumeId()).not.toBe("");
  });

  test("while something is attached to it", async () => {
    await use("one");
    const { findVolume } = world.volumes;
    const attached: typeof findVolume = async (id) => {
      const found = await findVolume(id);
      return found && { ...found, attached: true };
    };
    Object.assign(world.volumes, { findVolume: attached });

    await idle(9);
    expect(await volumeId()).not.toBe("");

    Object.assign(world.volumes, { findVolume });
    await idle(25);
    expect(await volumeId()).toBe("");
  });

  test("while ORPHANS_DRY_RUN is set", async () => {
    world = await memoryWorld({ settings: { ...settings, orphansDryRun: true } });
    await use("one");

    await idle(24);

    expect(await volumeId()).not.toBe("");
  });
});

describe("a volume whose removal is refused", () => {
  test("stays if its backup was deleted in the meantime", async () => {
    await use("one");
    const { removeVolume } = world.volumes;
    const refuse = () => Promise.reject(new Error("denied"));
    Object.assign(world.volumes, { removeVolume: refuse });
    await idle();
    world.volumes.loseSnapshot((await disk()).snapshots.at(-1)?.id ?? "");
    Object.assign(world.volumes, { removeVolume });

    await idle(3);

    expect(world.volumes.volumeIds()).toHaveLength(1);
    expect((await disk()).idleVolume?.unremoved?.why).toBe("the backup that replaces it is not seen");
  });

  test("stays in the record, is removed later, and delays no job", async () => {
    const log = recordingLog();
    world = await memoryWorld({ settings, log });
    await use("one");
    const [volume] = world.volumes.volumeIds();
    const { removeVolume } = world.volumes;
    Object.assign(world.volumes, { removeVolume: () => Promise.reject(new Error("UnauthorizedOperation")) });
    await idle();
    const refused = await disk();
    expect(refused.idleVolume).toMatchObject({ id: volume, unremoved: { why: "UnauthorizedOperation" } });
    expect(refused.fault).toBe(`Its idle volume ${volume} cannot be removed: UnauthorizedOperation`);
    const alarms = log.lines.filter(({ level, event }) => level === "error" && event === "volumes not removed");
    expect(alarms.length).toBeGreaterThan(0);

    await start("two");
    expect((await world.read("alice", "two")).phase).toBe("active");

    Object.assign(world.volumes, { removeVolume });
    await cancel("two");
    await world.advance(2 * HOUR_MS);

    expect(world.volumes.volumeIds()).toEqual([await volumeId()]);
    const { idleVolume, fault } = await disk();
    expect([idleVolume, fault]).toEqual([undefined, null]);
  });

  test("is removed by the purge of its disk", async () => {
    world = await memoryWorld({ settings: { ...settings, diskRetentionDays: 1 } });
    await use("one");
    const { removeVolume } = world.volumes;
    Object.assign(world.volumes, { removeVolume: () => Promise.reject(new Error("denied")) });
    await idle();
    await deleteDisk(world.as("alice"), "data");
    await world.advance(2 * DAY_MS);
    expect(world.volumes.volumeIds()).toHaveLength(1);

    Object.assign(world.volumes, { removeVolume });
    await world.advance(2 * HOUR_MS);

    expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
  });
});

describe("a disk whose volume was removed", () => {
  test("has no snapshot on demand, since nothing changed", async () => {
    await use("one");
    await idle();

    await expect(requestSnapshot(world.as("alice"), "data")).rejects.toThrow(
      "Disk 'data' has not changed since its latest backup",
    );
  });

  test("keeps its backups", async () => {
    for (const id of ["one", "two", "three"]) await use(id);
    const before = (await disk()).snapshots.map(({ id }) => id);

    await idle(24);

    expect((await disk()).snapshots.map(({ id }) => id)).toEqual(before);
    expect(world.volumes.snapshotIds()).toEqual(before);
  });
});
