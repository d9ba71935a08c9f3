import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Volumes } from "../ports/volumes.ts";
import { restoreDisk } from "./backups/from-snapshot.ts";
import type { Disk } from "./record.ts";
import { deleteDisk } from "./requests.ts";
import { getDisk } from "./view.ts";

const MINUTE = 60_000;
/** Longer than a volume must be missed to count as gone. */
const OUTAGE = 12 * MINUTE;
/** Long enough for several checks after an outage, but shorter than the rest of the ten minutes. */
const AFTER = 6 * MINUTE;
/** Ten minutes of checks, and the next check. */
const GONE = 11 * MINUTE;
/** Retention of a deleted disk. */
const RETENTION = 30 * MINUTE;
let world: MemoryWorld;

const outages: Readonly<Record<string, () => Promise<void>>> = {
  "the workers were away": async () => world.clock.advance(OUTAGE),
  "the provider did not answer": () => withVolumes(failing(), () => world.advance(OUTAGE)),
};

function failing(): Partial<Volumes> {
  const away = async () => {
    throw new Error("timed out");
  };
  return { findVolume: away, findSnapshot: away, listSnapshots: away, createVolume: away, createSnapshot: away };
}

/** Replaces these calls during `work`. */
async function withVolumes(calls: Partial<Volumes>, work: () => Promise<void>): Promise<void> {
  const before = { ...world.volumes };
  Object.assign(world.volumes, calls);
  await work();
  Object.assign(world.volumes, before);
}

/** Hides a volume or a snapshot from checks during `work`. */
function hiding(hidden: string, work: () => Promise<void>): Promise<void> {
  const { findVolume, findSnapshot } = world.volumes;
  const calls = {
    findVolume: async (id: string) => (id === hidden ? undefined : findVolume(id)),
    findSnapshot: async (id: string) => (id === hidden ? undefined : findSnapshot(id)),
  };
  return withVolumes(calls, work);
}

async function begin(id: string, disk = "data"): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk }));
  await world.advance(2_000);
}

async function end(id: string): Promise<void> {
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function use(id: string, disk = "data"): Promise<void> {
  await begin(id, disk);
  world.volumes.write(await getVolume(disk), id);
  await end(id);
}

async function computeDisk(name = "data"): Promise<Disk> {
  return (await getDisk(world.as("alice"), name)).disk;
}

async function getVolume(name = "data"): Promise<string> {
  return (await computeDisk(name)).volume?.id ?? "";
}

async function restore(): Promise<string> {
  const snapshotId = (await computeDisk()).snapshots[0]?.id ?? "";
  const ids = { id: world.ctx.ids.uuid4(), uid: world.ctx.ids.uid() };
  await restoreDisk(world.as("alice"), "data", { snapshotId, newName: "copy" }, ids);
  return snapshotId;
}

beforeEach(async () => {
  world = await memoryWorld({ settings: { diskRetentionDays: RETENTION / (24 * 60 * MINUTE) } });
  for (const id of ["one", "two"]) await use(id);
  await world.advance(15 * MINUTE);
});

describe.each(Object.entries(outages))("time in which %s does not count, so", (_, passOutage) => {
  test("a job gets the volume of its disk that checks before and after missed", async () => {
    const volume = await getVolume();

    await hiding(volume, async () => {
      await begin("three");
      await passOutage();
      await world.advance(AFTER);
    });
    await world.advance(AFTER);

    expect([await getVolume(), (await computeDisk()).supersededVolumes]).toEqual([volume, undefined]);
    expect((await world.read("alice", "three")).phase).toBe("active");
  });

  test("a job gets the newest backup of its disk that checks before and after missed", async () => {
    const newest = (await computeDisk()).snapshots.at(-1)?.id ?? "";
    world.volumes.loseVolume(await getVolume());

    await hiding(newest, async () => {
      await begin("three");
      await passOutage();
      await world.advance(AFTER);
    });
    await world.advance(GONE);

    expect(world.volumes.findContent(await getVolume())).toMatchObject({ content: "two", from: newest });
  });

  test("a job gets a disk from a snapshot that checks before and after missed", async () => {
    const source = await restore();

    await hiding(source, async () => {
      await begin("reader", "copy");
      await passOutage();
      await world.advance(AFTER);
    });
    await world.advance(AFTER);

    expect((await computeDisk("copy")).lostAt).toBeUndefined();
    expect((await world.read("alice", "reader")).phase).toBe("active");
  });

  test("a disk with a single volume that checks before and after missed is not lost", async () => {
    await restore();
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await begin("writer", "copy");
    const { volume } = await computeDisk("copy");

    await hiding(volume?.id ?? "", async () => {
      await end("writer");
      await world.advance(2 * MINUTE);
      await passOutage();
      await world.advance(AFTER);
      expect((await computeDisk("copy")).volumeMissedAt).toEqual(expect.any(Number));
    });

    expect((await computeDisk("copy")).lostAt).toBeUndefined();
  });

  test("the end of a job backs up a volume that checks before and after missed", async () => {
    await begin("three");

    await hiding(await getVolume(), async () => {
      await end("three");
      await passOutage();
      await world.advance(AFTER);
    });
    await world.advance(AFTER);

    const { events, phase } = await world.read("alice", "three");
    expect(phase).toBe("cancelled");
    expect(events.timeline.map(({ reason }) => reason)).not.toContainEqual(expect.stringContaining("gone"));
    expect((await computeDisk()).snapshots).toHaveLength(3);
  });

  test("a failed backup is made again from a volume that checks before and after missed", async () => {
    world = await memoryWorld({ snapshotMs: 30_000 });
    await begin("three");
    const volume = await getVolume();
    world.volumes.failSnapshotsLater(1);
    await end("three");

    await hiding(volume, async () => {
      await world.advance(MINUTE);
      await passOutage();
      await world.advance(AFTER);
      expect((await computeDisk()).lost).toMatchObject({ gaveUp: null });
    });
    await world.advance(GONE);

    const { lost, snapshots } = await computeDisk();
    expect([lost, snapshots]).toMatchObject([undefined, [{ completed: true }]]);
  });

  test("a deleted disk keeps a promised snapshot that checks before and after missed", async () => {
    const source = await restore();
    await deleteDisk(world.as("alice"), "data");
    await world.advance(RETENTION - 10_000);

    await hiding(source, async () => {
      await world.advance(MINUTE);
      await passOutage();
      await world.advance(AFTER);
    });
    await world.advance(GONE);

    expect((await computeDisk()).phase).toBe("deleted");
    expect(world.volumes.snapshotIds()).toContain(source);
  });

  test("a volume that is really lost is restored within ten minutes of checks", async () => {
    const gone = await getVolume();
    world.volumes.loseVolume(gone);

    await begin("three");
    await passOutage();
    await world.advance(5 * MINUTE + GONE);

    expect((await computeDisk()).supersededVolumes).toEqual([gone]);
    expect((await world.read("alice", "three")).phase).toBe("active");
  });
});

test("a volume that is really lost is restored after seven checks, however far apart", async () => {
  const gone = await getVolume();
  world.volumes.loseVolume(gone);
  await begin("three");

  let passes = 1;
  while ((await computeDisk()).supersededVolumes === undefined && passes < 20) {
    world.clock.advance(OUTAGE);
    await world.advance(1_000);
    passes++;
  }

  expect(passes).toBeLessThanOrEqual(7);
  expect(passes).toBeGreaterThan(4);
});
