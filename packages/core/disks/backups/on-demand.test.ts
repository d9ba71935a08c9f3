import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, type WorldOptions } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { createDisk } from "../create.ts";
import { renameDisk } from "../names/rename.ts";
import { getOperation } from "../operations.ts";
import type { Disk } from "../record.ts";
import { deleteDisk } from "../requests.ts";
import { getDisk } from "../view.ts";
import { restoreDisk } from "./from-snapshot.ts";
import { requestSnapshot } from "./on-demand.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
let world: MemoryWorld;

async function open(options: WorldOptions = {}): Promise<void> {
  world = await memoryWorld(options);
}

const alice = () => world.as("alice");

async function begin(id: string, disk = "data"): Promise<void> {
  await createEnvironment(alice(), newEnvironment(id, { disk, gpus: 1 }));
  await world.advance(3_000);
  const { volume } = await computeDisk(disk);
  if (volume) world.volumes.write(volume.id, id);
}

async function end(id: string): Promise<void> {
  await requestCancel(alice(), id);
  await world.advance(MINUTE);
}

async function use(id: string, disk = "data"): Promise<void> {
  await begin(id, disk);
  await end(id);
}

async function computeDisk(name = "data"): Promise<Disk> {
  return (await getDisk(alice(), name)).disk;
}

async function onDemand(name = "data"): Promise<string[]> {
  return (await computeDisk(name)).snapshots.filter((snapshot) => snapshot.onDemand).map(({ id }) => id);
}

async function outcome(operation: string, name = "data"): Promise<[string, string | null]> {
  const { status, error } = await getOperation(alice(), alice().actor.uid, name, operation);
  return [status, error];
}

async function request(name = "data"): Promise<string> {
  return (await requestSnapshot(alice(), name)).operation.id;
}

beforeEach(() => open());

describe("a snapshot on demand of a free disk", () => {
  test("is made once, closes its operation, and can be restored", async () => {
    await use("first");
    const operation = await request();
    const before = await outcome(operation);
    await world.advance(MINUTE);

    const [snapshot = ""] = await onDemand();
    const ids = { id: world.ctx.ids.uuid4(), uid: world.ctx.ids.uid() };
    await restoreDisk(alice(), "data", { snapshotId: snapshot, newName: "copy" }, ids);
    await createEnvironment(alice(), newEnvironment("reader", { disk: "copy", gpus: 1 }));
    await world.advance(3_000);

    expect(before).toEqual(["pending", null]);
    expect(await getOperation(alice(), alice().actor.uid, "data", operation)).toMatchObject({
      status: "completed",
      snapshot,
    });
    expect(await onDemand()).toHaveLength(1);
    expect(world.volumes.findContent((await computeDisk("copy")).volume?.id ?? "")?.content).toBe("first");
  });

  test("is made once per idempotency key, and a repeat returns its result", async () => {
    await use("first");
    const id = world.ctx.ids.uuid4();
    const first = await requestSnapshot(alice(), "data", { id, isRepeat: false });
    const early = await requestSnapshot(alice(), "data", { id, isRepeat: true });
    await world.advance(MINUTE);
    const late = await requestSnapshot(alice(), "data", { id, isRepeat: true });
    await world.advance(MINUTE);

    expect([early.operation.id, late.operation.id]).toEqual([first.operation.id, first.operation.id]);
    expect(late.operation.status).toBe("completed");
    expect(await onDemand()).toHaveLength(1);
  });

  test("continues a request that died before it changed the disk", async () => {
    await use("first");
    const id = world.ctx.ids.uuid4();
    const dying = { ...alice(), table: { ...world.ctx.table, put: failOnDisk } };
    await expect(requestSnapshot(dying, "data", { id, isRepeat: false })).rejects.toThrow("died");
    await requestSnapshot(alice(), "data", { id, isRepeat: true });
    await world.advance(MINUTE);

    expect(await outcome(`op-${id}`)).toEqual(["completed", null]);
    expect(await onDemand()).toHaveLength(1);
  });

  test("delays a job only until its claim if snapshots of used volumes are possible", async () => {
    await open({ snapshotMs: HOUR });
    await begin("first");
    await requestCancel(alice(), "first");
    await world.advance(2 * HOUR);
    const operation = await request();
    await world.advance(10_000);
    await begin("second");

    expect((await world.read("alice", "second")).phase).toBe("active");
    expect(await outcome(operation)).toEqual(["pending", null]);
    await world.advance(HOUR);
    expect(await outcome(operation)).toEqual(["completed", null]);
  });

  test("delays a job until it is completed if snapshots of used volumes are impossible", async () => {
    await open({ snapshotMs: 10 * MINUTE, snapshotsInUse: false });
    await begin("first");
    await end("first");
    await world.advance(20 * MINUTE);
    const operation = await request();
    await world.advance(10_000);
    await begin("second");
    const waiting = (await world.read("alice", "second")).phase;
    await world.advance(20 * MINUTE);

    expect([waiting, (await world.read("alice", "second")).phase]).toEqual(["queued", "active"]);
    expect(await outcome(operation)).toEqual(["completed", null]);
  });
});

describe("a snapshot on demand of a disk in use", () => {
  test("contains the data so far, and the job continues and makes its own backup", async () => {
    await begin("job");
    const operation = await request();
    await world.advance(MINUTE);
    const { phase } = await world.read("alice", "job");
    const done = await outcome(operation);
    await end("job");

    const { snapshots, lost } = await computeDisk();
    expect([phase, done, lost]).toEqual(["active", ["completed", null], undefined]);
    expect(snapshots.map((snapshot) => snapshot.onDemand === true)).toEqual([true, false]);
  });

  test("fails with a message if the provider supports none, and may be requested again after the job", async () => {
    await open({ snapshotsInUse: false });
    await begin("job");
    const operation = await request();
    await world.advance(MINUTE);
    const refused = await outcome(operation);
    await end("job");
    const again = await request();
    await world.advance(MINUTE);

    const words = "No snapshot of a disk in use can be made here; its job makes a backup when it ends";
    expect(refused).toEqual(["failed", words]);
    expect(await outcome(again)).toEqual(["completed", null]);
  });

  test("waits for a job that is ending", async () => {
    await open({ snapshotsInUse: false });
    await begin("job");
    await requestCancel(alice(), "job");
    const operation = await request();
    await world.advance(5 * MINUTE);

    expect(await outcome(operation)).toEqual(["completed", null]);
  });
});

describe("a request for a snapshot is refused", () => {
  test("while another request for the disk is open", async () => {
    await open({ snapshotMs: HOUR });
    await begin("job");
    await request();
    await world.advance(10_000);

    await expect(request()).rejects.toThrow("A snapshot of disk 'data' is being made already");
  });

  test("for one of two concurrent requests", async () => {
    await use("first");
    const results = await Promise.allSettled([request(), request()]);
    await world.advance(MINUTE);

    expect(results.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(await onDemand()).toHaveLength(1);
  });

  test("while twenty other disks of the user have an open request", async () => {
    await use("job", "data");
    const { volume } = await computeDisk();
    for (let n = 0; n < 20; n++) {
      await createDisk(alice(), { name: `d${n}`, sizeGb: 10 });
      const disk = await computeDisk(`d${n}`);
      const snapshotRequest = { operation: `op-${n}`, at: world.clock.now(), attempt: 0, until: null };
      await world.table.put({ ...disk, phase: "available", volume, operations: [], snapshotRequest } as typeof disk);
    }

    await expect(request()).rejects.toMatchObject({ kind: "conflict", details: { errorCode: "limit" } });
  });

  test("for an unknown, another user's, an unused, a deleted and a purged disk", async () => {
    await use("first");
    await createDisk(alice(), { name: "empty", sizeGb: 10 });
    await expect(requestSnapshot(alice(), "none")).rejects.toThrow("Disk 'none' not found");
    await expect(requestSnapshot(world.as("bob"), "data")).rejects.toThrow("Disk 'data' not found");
    await expect(requestSnapshot(alice(), "empty")).rejects.toThrow("Disk 'empty' is empty: no job has used it yet");
    await deleteDisk(alice(), "data");
    await expect(requestSnapshot(alice(), "data")).rejects.toThrow("Disk 'data' is marked for deletion");
    const disk = await computeDisk();
    await world.table.put({ ...disk, phase: "purging" } as Disk);
    await expect(requestSnapshot(alice(), "data")).rejects.toThrow("Disk 'data' not found");
  });
});

describe("an open request for a snapshot", () => {
  test("fails when its disk is deleted before it was made", async () => {
    await use("first");
    const operation = await request();
    await deleteDisk(alice(), "data");
    await world.advance(MINUTE);

    expect(await outcome(operation)).toEqual(["failed", "The disk was marked for deletion"]);
    expect(await onDemand()).toEqual([]);
  });

  test("leaves nothing behind when its disk is purged while the snapshot is pending", async () => {
    await open({ snapshotMs: 40 * DAY, settings: { diskRetentionDays: 1 } });
    await begin("job");
    const operation = await request();
    await world.advance(10_000);
    await requestCancel(alice(), "job");
    await world.advance(MINUTE);
    const { uid, owner } = await computeDisk();
    await deleteDisk(alice(), "data");
    for (let hours = 0; hours < 30; hours++) {
      world.clock.advance(HOUR);
      await world.advance(5_000);
    }

    expect(world.volumes.snapshotIds()).toEqual([]);
    expect((await getOperation(world.ctx, owner, "data", operation)).status).toBe("failed");
    expect(uid).toHaveLength(32);
  });

  test("keeps its operation under both names when the disk is renamed", async () => {
    await open({ snapshotMs: HOUR });
    await begin("first");
    await requestCancel(alice(), "first");
    await world.advance(2 * HOUR);
    const operation = await request();
    await renameDisk(alice(), "data", "other");
    await world.advance(2 * HOUR);

    expect([await outcome(operation), await outcome(operation, "other")]).toEqual([
      ["completed", null],
      ["completed", null],
    ]);
    const [id = ""] = await onDemand("other");
    expect((await world.volumes.findSnapshot(id))?.tags.name).toBe("other");
  });

  test("is retried after a refusal, and fails with its reason after half an hour of refusals", async () => {
    await use("first");
    world.volumes.failSnapshots(1);
    const retried = await request();
    await world.advance(5 * MINUTE);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    const refused = await request();
    await world.advance(HOUR);

    expect([await outcome(retried), await outcome(refused)]).toEqual([
      ["completed", null],
      ["failed", "Snapshot limit exceeded"],
    ]);
  });

  test("fails after three failed snapshots, which no backup replaces", async () => {
    await use("first");
    world.volumes.failSnapshotsLater(3);
    const operation = await request();
    await world.advance(HOUR);

    const { lost, snapshots } = await computeDisk();
    expect(await outcome(operation)).toEqual(["failed", "It failed 3 times"]);
    expect([lost, snapshots.length]).toEqual([undefined, 1]);
  });

  test("fails when its volume is lost", async () => {
    await use("first");
    world.volumes.loseVolume((await computeDisk()).volume?.id ?? "");
    const operation = await request();
    await world.advance(HOUR);

    expect(await outcome(operation)).toEqual(["failed", "Its volume was not found"]);
  });

  /** The worker that makes the snapshot dies, after this many checks that missed the volume. */
  async function outcomeOfDying(unseen: number) {
    await open({ listedAfterMs: 5 * MINUTE });
    await begin("job");
    await world.advance(20 * MINUTE);
    const { createSnapshot, findVolume } = world.volumes;
    const dies: typeof createSnapshot = async (volume, tags) => {
      await createSnapshot(volume, tags);
      throw new Error("The worker died");
    };
    let passes = 0;
    const missesFirst: typeof findVolume = async (id) => (passes++ < unseen ? undefined : findVolume(id));
    Object.assign(world.volumes, { createSnapshot: dies, findVolume: missesFirst });
    const operation = await request();
    await world.advance(30 * MINUTE);
    const made = { all: world.volumes.snapshotIds(), onDemand: await onDemand() };
    return { outcome: await outcome(operation), areRecorded: made.all.join() === made.onDemand.join(), ...made };
  }

  const madeOnce = { outcome: ["completed", null], areRecorded: true, onDemand: [expect.any(String)] };

  test("makes one snapshot although the worker that claimed it died or it is listed late", async () => {
    expect(await outcomeOfDying(0)).toMatchObject(madeOnce);
  });

  test("makes one snapshot although a check before its claim missed the volume", async () => {
    expect(await outcomeOfDying(1)).toMatchObject(madeOnce);
  });
});

describe("retention", () => {
  test("keeps the newest five on-demand snapshots and three backups, and names the one to be removed", async () => {
    const replaced: (string | undefined)[] = [];
    for (let n = 1; n <= 4; n++) await use(`before-${n}`);
    for (let n = 1; n <= 7; n++) {
      replaced.push((await requestSnapshot(alice(), "data")).replaces?.id);
      await world.advance(5 * MINUTE);
    }
    for (let n = 1; n <= 4; n++) await use(`after-${n}`);

    const { snapshots } = await computeDisk();
    const kinds = snapshots.map(({ onDemand: input }) => (input ? "asked" : "backup"));
    expect(kinds).toEqual([...Array(5).fill("asked"), ...Array(3).fill("backup")]);
    expect(replaced.slice(0, 5)).toEqual(Array(5).fill(undefined));
    expect(new Set(replaced.slice(5)).size).toBe(2);
    expect(snapshots.some(({ id }) => replaced.includes(id))).toBe(false);
  });
});

async function failOnDisk(...[item, ...rest]: Parameters<MemoryWorld["table"]["put"]>): Promise<void> {
  if ((item as Partial<Disk>).kind === "disk") throw new Error("The request died");
  return world.table.put(item, ...rest);
}
