import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import type { Environment } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { utcText } from "../../text/utc.ts";
import type { Disk } from "../record.ts";
import { getDisk } from "../view.ts";
import { restoreDisk } from "./from-snapshot.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A volume counts as gone after this: ten minutes and the next check. */
const GONE = 11 * MINUTE;
let world: MemoryWorld;
let source: string;

async function begin(id: string, disk: string, text?: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk }));
  await world.advance(2_000);
  const { volume } = await computeDisk(disk);
  if (volume && text !== undefined) world.volumes.write(volume.id, text);
}

async function end(id: string): Promise<void> {
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function use(id: string, disk = "data"): Promise<void> {
  await begin(id, disk, id);
  await end(id);
}

async function computeDisk(name: string): Promise<Disk> {
  return (await getDisk(world.as("alice"), name)).disk;
}

async function findContent(name: string): Promise<string | undefined> {
  return world.volumes.findContent((await computeDisk(name)).volume?.id ?? "")?.content;
}

async function getLoseVolume(name: string): Promise<void> {
  world.volumes.loseVolume((await computeDisk(name)).volume?.id ?? "");
}

function restore(newName: string, snapshotId = source) {
  const ids = { id: world.ctx.ids.uuid4(), uid: world.ctx.ids.uid() };
  return restoreDisk(world.as("alice"), "data", { snapshotId, newName }, ids);
}

/** Advances hour by hour and delivers due messages. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += HOUR) {
    world.clock.advance(HOUR - 5_000);
    await world.advance(5_000);
  }
}

/** Marks a snapshot of `data` as missed by one check, this long ago. */
async function miss(id: string, ageMs: number): Promise<void> {
  const disk = await computeDisk("data");
  const missedAt = world.clock.now() - ageMs;
  const snapshots = disk.snapshots.map((snapshot) => (snapshot.id === id ? { ...snapshot, missedAt } : snapshot));
  await edit({ ...disk, snapshots });
}

/** Writes a record like an operator who repairs it by hand. */
async function edit(record: Disk | Environment): Promise<void> {
  await world.table.put(record);
}

beforeEach(async () => {
  world = await memoryWorld();
  for (const id of ["first", "second"]) await use(id);
  source = (await computeDisk("data")).snapshots[0]?.id ?? "";
});

describe("a snapshot that a restore claims", () => {
  test("stays claimed although one check missed it long ago and no check followed", async () => {
    await restore("before");
    await miss(source, 60 * MINUTE);

    const second = (await computeDisk("data")).snapshots[1]?.id ?? "";
    await restore("other", second);
    const restores = (await computeDisk("data")).restores;
    for (const id of ["third", "fourth", "fifth"]) await use(id);
    await begin("reader", "before");

    expect(restores).toMatchObject([{ snapshot: source }, { snapshot: second }]);
    expect(await findContent("before")).toBe("first");
  });
});

describe("a disk from a snapshot that lost its volume before its first backup", () => {
  test("is restored from the snapshot again if no run can have written to it", async () => {
    await restore("before");
    await begin("opener", "before");
    await withoutRun("opener");
    await getLoseVolume("before");

    await begin("early", "before");
    const waits = (await world.read("alice", "early")).reason;
    await world.advance(GONE);

    expect(waits).toBe("The volume of disk 'before' is missing; searching for it");
    expect(await findContent("before")).toBe("first");
    expect((await computeDisk("before")).lostAt).toBeUndefined();
  });

  test("is lost, with advice, if a run may have written to it, and keeps the snapshot for the owner", async () => {
    await restore("before");
    await begin("writer", "before", "work");
    await getLoseVolume("before");
    await end("writer");
    await world.advance(GONE);
    await begin("reader", "before");
    await world.advance(GONE);
    const { phase, end: ended } = await world.read("alice", "reader");
    const { fault } = await computeDisk("before");
    for (const id of ["third", "fourth", "fifth"]) await use(id);

    await restore("again");
    await begin("again-1", "again");

    const until = utcText(Number((await computeDisk("before")).lostAt) + 30 * DAY);
    const words = "Its volume is gone; restore its snapshot";
    expect([phase, fault]).toEqual(["failed", `${words} ${source} under another name until ${until}`]);
    expect(ended.outcome?.reason).toBe(
      `Disk 'before' is lost: its volume is gone; restore its snapshot under another name until ${until}`,
    );
    expect(await findContent("again")).toBe("first");
  });

  test("keeps that snapshot for thirty days after it was lost, and no longer", async () => {
    await restore("before");
    await begin("writer", "before", "work");
    await getLoseVolume("before");
    await end("writer");
    await world.advance(GONE);
    const kept: boolean[] = [];
    for (const days of [29, 31]) {
      await edit({ ...(await computeDisk("before")), lostAt: world.clock.now() - days * DAY });
      for (const n of [1, 2, 3, 4]) await use(`later-${days}-${n}`);
      kept.push(world.volumes.snapshotIds().includes(source));
    }

    expect(kept).toEqual([true, false]);
  });

  test("is lost, and its thirty days begin, even if no job opens it again", async () => {
    await restore("before");
    await begin("writer", "before", "work");
    await getLoseVolume("before");
    await end("writer");

    await world.advance(2 * GONE);

    const { lostAt, fault } = await computeDisk("before");
    const until = utcText(Number(lostAt) + 30 * DAY);
    expect(fault).toBe(`Its volume is gone; restore its snapshot ${source} under another name until ${until}`);
  });

  test("is lost in the same way if its volume disappears long after the last backup attempt", async () => {
    await restore("before");
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await use("writer", "before");
    await pass(DAY);
    const { fault: kept, lostAt: early, snapshots } = await computeDisk("before");
    await getLoseVolume("before");

    await pass(DAY);
    await world.advance(GONE);

    const { lostAt, fault } = await computeDisk("before");
    expect([snapshots, kept, early]).toEqual([[], expect.stringContaining("the volume is kept"), undefined]);
    expect(fault).toBe(
      `Its volume is gone; restore its snapshot ${source} under another name until ${utcText(Number(lostAt) + 30 * DAY)}`,
    );
  });

  test("is not lost while its volume exists, nor once that is seen again", async () => {
    await restore("before");
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await use("writer", "before");
    await pass(2 * DAY);
    const there = await computeDisk("before");
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await pass(DAY);
    await world.advance(GONE);
    const { lostAt } = await computeDisk("before");
    Object.assign(world.volumes, { findVolume });
    await pass(DAY);

    const found = await computeDisk("before");
    expect([there.lostAt, lostAt, found.lostAt]).toEqual([undefined, expect.any(Number), undefined]);
  });

  test("no longer mentions that snapshot after the thirty days", async () => {
    await restore("before");
    await begin("writer", "before", "work");
    await getLoseVolume("before");
    await end("writer");
    await world.advance(GONE);
    await begin("early", "before");
    await world.advance(GONE);
    const lost = await computeDisk("before");
    await edit({ ...lost, lostAt: world.clock.now() - 30 * DAY, dueAt: world.clock.now() });
    await world.advance(MINUTE);
    await begin("late", "before");
    await world.advance(GONE);

    const { end: ended } = await world.read("alice", "late");
    expect([(await computeDisk("before")).fault, ended.outcome?.reason]).toEqual([
      "Its volume is gone and there is no backup",
      "Disk 'before' is lost: its volume is gone and there is no backup; delete or rename it",
    ]);
  });
});

describe("a backup due for thinning", () => {
  test("is removed although each reconcile comes long after the one before", async () => {
    for (const id of ["third", "fourth"]) await createSnapshot(id);
    const { pk, sk } = await computeDisk("data");

    for (let passes = 0; passes < 2; passes++) {
      world.clock.advance(5 * MINUTE);
      await reconcile(world.ctx, { look: keyText({ pk, sk }) });
    }

    expect(world.volumes.snapshotIds()).not.toContain(source);
    expect((await computeDisk("data")).snapshots).toHaveLength(3);
  });

  test("is removed although the worker that claimed it died first", async () => {
    for (const id of ["third", "fourth"]) await createSnapshot(id);
    const disk = await computeDisk("data");
    const removingUntil = world.clock.now() - 1;
    const snapshots = disk.snapshots.map((snapshot) =>
      snapshot.id === source ? { ...snapshot, removingUntil } : snapshot,
    );
    await edit({ ...disk, snapshots, dueAt: world.clock.now() });

    await world.advance(MINUTE);

    expect(world.volumes.snapshotIds()).not.toContain(source);
    expect((await computeDisk("data")).snapshots.map(({ id }) => id)).not.toContain(source);
  });
});

/** A backup of `data` by a job, before any check of it. */
async function createSnapshot(attempt: string): Promise<void> {
  const disk = await computeDisk("data");
  const tags = { name: "data", disk: disk.uid, attempt };
  world.clock.advance(1000);
  const { id, at } = await world.volumes.createSnapshot(disk.volume?.id ?? "", tags);
  await edit({ ...disk, snapshots: [...disk.snapshots, { id, at, completed: true }], dueAt: 0 });
}

/** Ends a job without a run under way. */
async function withoutRun(id: string): Promise<void> {
  const environment = await world.read("alice", id);
  const { disk, run } = environment;
  if (!disk) throw new Error("It has no disk");
  await world.compute.remove(environment.uid, run.n, { graceSeconds: 0, force: true });
  const before = { ...environment, phase: "preparing", step: "disk", disk: { ...disk, attached: false } } as const;
  await edit({ ...before, run: { ...run, applyingAt: null, appliedAt: null, startedAt: null } });
  await end(id);
}
