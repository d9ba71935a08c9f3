import { describe, expect, test } from "vitest";
import { leftoverRun } from "#tests/faults/leftover-run.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import type { Disk } from "../disks/record.ts";
import { deleteDisk } from "../disks/requests.ts";
import { getDisk } from "../disks/view.ts";
import { reservation } from "../environments/record/policy.ts";
import type { Environment } from "../environments/record/record.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { requestStart } from "../environments/verbs/start.ts";
import { requestStop } from "../environments/verbs/stop.ts";
import type { Compute } from "../ports/compute.ts";
import type { Item } from "../ports/table.ts";
import { diskKey, environmentKey, keyText } from "../store/keys.ts";
import { compareOrphans, type OrphanReport, readOrphans } from "./orphans.ts";

const HOUR = 3_600_000;

/** Creates a run of this environment in the cluster, regardless of its record. */
async function getRun(world: MemoryWorld, { uid, key, run = 1 }: { uid: string; key: string; run?: number }) {
  await world.compute.apply(leftoverRun({ uid, run, key, node: "h100-1", now: world.clock.now() }));
}

function formatKeyText(environment: Environment): string {
  return keyText(environment);
}

test("reports no orphan for a wanted run at any time of its life", async () => {
  const world = await memoryWorld({ delays: { bindMs: 2000, imageMs: 3000, removeMs: 4000 } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { hours: 0.5 }));

  for (let minute = 0; minute < 45; minute++) {
    await world.advance(60_000);
    await compareOrphans(world.ctx);
    expect(await readOrphans(world.ctx), `minute ${minute}`).toMatchObject({ runs: [], records: [] });
  }
  expect((await world.read("alice", "one")).phase).toBe("expired");
});

test("lists runs without a record, with another uid or run, or with an ended record, with the reason", async () => {
  const world = await memoryWorld({ leavesTombstones: false });
  const living = await createEnvironment(world.as("alice"), newEnvironment("living"));
  const ended = await createEnvironment(world.as("bob"), newEnvironment("ended"));
  await world.advance(60_000);
  await requestCancel(world.as("bob"), "ended");
  await world.advance(2 * 60_000);
  const unknown = keyText(environmentKey("0".repeat(32), "gpu-dev", "gone"));

  await getRun(world, { uid: "1".repeat(32), key: unknown });
  await getRun(world, { uid: "2".repeat(32), key: formatKeyText(living) });
  await getRun(world, { uid: living.uid, key: formatKeyText(living), run: 7 });
  await getRun(world, { uid: ended.uid, key: formatKeyText(ended) });
  await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(
    Object.fromEntries((report?.runs ?? []).map(({ uid, run, why }) => [`${uid.slice(0, 3)}-r${run}`, why])),
  ).toEqual({
    "111-r1": "it has no record",
    "222-r1": "its record belongs to another environment",
    [`${living.uid.slice(0, 3)}-r7`]: "its record is at run 1",
    [`${ended.uid.slice(0, 3)}-r1`]: "its record is cancelled",
  });
  expect(report?.runs.map(({ gpus }) => gpus)).toEqual([8, 8, 8, 8]);
  expect(report?.records).toEqual([]);
});

test("lists a record whose run is missing, and does not change the record", async () => {
  const world = await memoryWorld();
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(2 * 60_000);
  const before = await world.read("alice", "one");
  await world.compute.remove(environment.uid, 1, { graceSeconds: 0, force: true });
  await getRun(world, { uid: "1".repeat(32), key: "owner#x#env#gpu-dev|y" });

  for (let again = 0; again < 3; again++) await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(report?.records).toMatchObject([
    {
      uid: environment.uid,
      run: 1,
      key: formatKeyText(environment),
      why: "it is active but has no run",
      sightings: 3,
    },
  ]);
  expect(world.compute.isLive("1".repeat(32), 1)).toBe(true);
  expect(await world.read("alice", "one")).toEqual(before);
});

test("lists and keeps a volume without a record, and does not list volumes of disks and environments", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(2 * 60_000);
  const wanted = { sizeGb: 1, zone: "z", snapshotId: undefined };
  const key = "owner#x#disk|y";
  const gone = await world.volumes.createVolume({ ...wanted, token: "gone", key });
  const nobodys = await world.volumes.createVolume({ ...wanted, token: "nobodys" });
  const odd = await world.volumes.createVolume({ ...wanted, token: "odd", key: "user#x|-" });

  for (let again = 0; again < 2; again++) await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(report?.volumes).toMatchObject([
    { volume: gone.id, key, why: "it has no record", sightings: 2 },
    { volume: nobodys.id, key: null, why: "its owner is unknown" },
    { volume: odd.id, key: "user#x|-", why: "its key is not the key of a disk or environment" },
  ]);
  expect(report?.volumeCount).toBe(3);
  expect(world.volumes.volumeIds()).toHaveLength(4);
});

test("counts GB-hours of volumes without a record from the first comparison that found them", async () => {
  const world = await memoryWorld();
  await world.volumes.createVolume({ token: "t", sizeGb: 20, zone: "z", snapshotId: undefined });
  const hours: unknown[] = [];

  for (const ms of [0, HOUR, HOUR / 2]) {
    world.clock.advance(ms);
    await compareOrphans(world.ctx);
    hours.push((await readOrphans(world.ctx))?.gbHours);
  }

  expect(hours).toEqual([0, 20, 30]);
});

test("counts GB-hours of unlisted volumes too, and none before the comparison", async () => {
  const world = await memoryWorld();
  const make = async (token: string) =>
    world.volumes.createVolume({ token, sizeGb: 20, zone: "z", snapshotId: undefined });
  for (let made = 0; made < 150; made += 1) await make(`${made}`);
  await compareOrphans(world.ctx);

  world.clock.advance(HOUR);
  await make("new");
  await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  expect(report).toMatchObject({ gbHours: 150 * 20, volumeCount: 151 });
  expect(report?.volumes).toHaveLength(50);
});

test("keeps listed volumes listed while they exist, whatever the order of the next listing", async () => {
  const world = await memoryWorld();
  for (let made = 0; made < 150; made += 1) {
    await world.volumes.createVolume({ token: `${made}`, sizeGb: 20, zone: "z", snapshotId: undefined });
  }
  await compareOrphans(world.ctx);
  const before = await readOrphans(world.ctx);
  const listOwned = async () => ({ volumes: (await world.volumes.listOwned()).volumes.toReversed() });

  await compareOrphans({ ...world.ctx, volumes: { ...world.volumes, listOwned } });

  const ids = (report = before) => report?.volumes?.map(({ volume }) => volume).toSorted();
  const after = await readOrphans(world.ctx);
  expect(ids(after)).toEqual(ids());
  expect(new Set(after?.volumes?.map(({ sightings }) => sightings))).toEqual(new Set([2]));
});

test("compares runs even if volumes cannot be listed", async () => {
  const world = await memoryWorld();
  await getRun(world, { uid: "1".repeat(32), key: keyText(environmentKey("0".repeat(32), "gpu-dev", "gone")) });
  const volumes = { ...world.volumes, listOwned: () => Promise.reject(new Error("forbidden")) };

  await compareOrphans({ ...world.ctx, volumes });

  expect(await readOrphans(world.ctx)).toMatchObject({ runCount: 1, volumeCount: 0 });
});

test("keeps volumes in the report while they cannot be listed, and counts their GB-hours later", async () => {
  const world = await memoryWorld();
  const { id } = await world.volumes.createVolume({ token: "t", sizeGb: 20, zone: "z", snapshotId: undefined });
  const volumes = { ...world.volumes, listOwned: () => Promise.reject(new Error("away")) };
  const firstSeenAt = world.clock.now();
  await compareOrphans(world.ctx);
  const reports: unknown[] = [];

  for (const ctx of [{ ...world.ctx, volumes }, { ...world.ctx, volumes }, world.ctx, world.ctx]) {
    world.clock.advance(HOUR);
    await compareOrphans(ctx);
    const { volumes: listed, volumeCount, gbHours } = (await readOrphans(world.ctx)) ?? {};
    reports.push({ listed, volumeCount, gbHours });
  }

  const seen = (sightings: number) => [{ volume: id, key: null, why: "its owner is unknown", firstSeenAt, sightings }];
  expect(reports).toEqual([
    { listed: seen(1), volumeCount: 1, gbHours: 0 },
    { listed: seen(1), volumeCount: 1, gbHours: 0 },
    { listed: seen(2), volumeCount: 1, gbHours: 60 },
    { listed: seen(3), volumeCount: 1, gbHours: 80 },
  ]);
});

test("lists and keeps a snapshot whose disk has no record, but not one without a key or of a disk", async () => {
  const world = await memoryWorld({ snapshotMs: 60_000 });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(2 * 60_000);
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * 60_000);
  const [backup] = world.volumes.snapshotIds();
  const { id: volume } = await world.volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined });
  const tags = { name: "gone", disk: "y", attempt: "a-r1-1" };
  const key = "owner#x#disk|y";
  const gone = await world.volumes.createSnapshot(volume, { ...tags, key });
  const odd = await world.volumes.createSnapshot(volume, { ...tags, key: "user#x|-" });
  await world.volumes.createSnapshot(volume, tags);

  const log = recordingLog();
  for (let again = 0; again < 2; again++) await compareOrphans({ ...world.ctx, log });

  const report = await readOrphans(world.ctx);
  expect(report?.snapshots).toMatchObject([
    { snapshot: gone.id, key, why: "it has no record", sightings: 2 },
    { snapshot: odd.id, key: "user#x|-", why: "its key is not the key of a disk or environment" },
  ]);
  expect(report?.snapshotCount).toBe(2);
  // In addition to the completed backup.
  const pending = log.lines.filter(({ event }) => event === "snapshots pending").map(({ fields }) => fields);
  expect(pending).toEqual([{ count: 3 }, { count: 3 }]);
  expect(world.volumes.snapshotIds()).toHaveLength(4);
  const uid = (await world.volumes.findSnapshot(backup ?? ""))?.tags.disk ?? "";
  const owner = world.as("alice").actor.uid;
  expect((await world.volumes.listOwnedSnapshots()).snapshots[0]).toEqual({
    id: backup,
    key: keyText(diskKey(owner, uid)),
    tags: expect.objectContaining({ disk: uid }),
  });
});

test("lists leftovers of a purged disk, and resources that a restored record does not name", async () => {
  const world = await memoryWorld({ settings: { diskRetentionDays: 0 } });
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("one", { disk: "purged" }));
  await createEnvironment(alice, newEnvironment("two", { disk: "kept" }));
  await world.advance(HOUR / 4);
  const restored = (await getDisk(alice, "kept")).disk;
  for (const id of ["one", "two"]) await requestCancel(alice, id);
  await world.advance(HOUR / 4);
  const { disk } = await getDisk(alice, "purged");
  const { volumes: owned } = await world.volumes.listOwned();
  const { snapshots } = await world.volumes.listOwnedSnapshots();
  await deleteDisk(alice, "purged");
  await world.advance(HOUR);
  const { writers } = (await getDisk(alice, "kept")).disk;
  const early: Disk = { ...restored, volume: null, making: [], snapshots: [], heldBy: null, writers };
  await world.table.put(early);
  const volumes = {
    ...world.volumes,
    listOwned: async () => ({ volumes: owned }),
    listOwnedSnapshots: async () => ({ snapshots }),
  };

  await compareOrphans({ ...world.ctx, volumes });

  const report = await readOrphans(world.ctx);
  const why = "its record does not name it";
  expect(await world.table.get(disk)).toMatchObject({ phase: "purged" });
  expect(owned).toHaveLength(2);
  expect(report?.volumes).toMatchObject(owned.map(({ id, key }) => ({ volume: id, key, why })));
  expect(report?.snapshots).toMatchObject(snapshots.map(({ id, key }) => ({ snapshot: id, key, why })));
  expect([report?.volumeCount, report?.snapshotCount]).toEqual([2, 2]);
});

test("keeps snapshots in the report when they cannot be listed, and compares everything else", async () => {
  const world = await memoryWorld();
  const { id } = await world.volumes.createVolume({ token: "t", sizeGb: 1, zone: "z", snapshotId: undefined });
  const tags = { name: "gone", disk: "y", attempt: "a-r1-1", key: "owner#x#disk|y" };
  await world.volumes.createSnapshot(id, tags);
  const listOwnedSnapshots = () => Promise.reject(new Error("forbidden"));
  await compareOrphans(world.ctx);
  const before = await readOrphans(world.ctx);
  world.clock.advance(HOUR);

  await compareOrphans({ ...world.ctx, volumes: { ...world.volumes, listOwnedSnapshots } });

  const after = await readOrphans(world.ctx);
  expect(before?.snapshots).toHaveLength(1);
  expect(after).toMatchObject({
    snapshots: before?.snapshots,
    snapshotCount: 1,
    volumes: [{ volume: id, sightings: 2 }],
  });
});

describe.each(["volumes", "snapshots"] as const)("%s of many pages", (kind) => {
  const pass = ({ volumePass, snapshotPass }: Partial<OrphanReport> = {}) =>
    kind === "volumes"
      ? [volumePass?.next, volumePass?.volumeCount]
      : [snapshotPass?.next, snapshotPass?.snapshotCount];
  const readCount = async (world: MemoryWorld) =>
    (await readOrphans(world.ctx))?.[`${kind.slice(0, -1) as "volume"}Count`];

  /** A hundred thousand of a disk without a record, in pages of 500. Counts the listed pages and the records read. */
  function endless(world: MemoryWorld, total = 100_000) {
    const stub = { pages: 0, reads: 0, failsAfter: Infinity };
    const key = keyText(diskKey("0".repeat(32), "1".repeat(32)));
    const listPage = async (after = "0") => {
      stub.pages += 1;
      if (stub.pages > stub.failsAfter) throw new Error("RequestLimitExceeded");
      const last = Math.min(Number(after) + 500, total);
      const ids = Array.from({ length: last - Number(after) }, (_, at) => `one-${Number(after) + at}`);
      const next = last < total ? { next: `${last}` } : {};
      return { ids, next };
    };
    const volumes = {
      ...world.volumes,
      ...(kind === "volumes" && {
        async listOwned(after?: string) {
          const { ids, next } = await listPage(after);
          return { volumes: ids.map((id) => ({ id, key, sizeGb: 2 })), ...next };
        },
      }),
      ...(kind === "snapshots" && {
        async listOwnedSnapshots(after?: string) {
          const { ids, next } = await listPage(after);
          return { snapshots: ids.map((id) => ({ id, key, tags: { key } })), ...next };
        },
      }),
    };
    const table: typeof world.table = {
      ...world.table,
      getMany: (keys) => {
        stub.reads += keys.length;
        return world.table.getMany(keys);
      },
    };
    return { stub, ctx: { ...world.ctx, table, volumes } };
  }

  test("are compared in slices of ten pages, and reported once all are compared", async () => {
    const world = await memoryWorld();
    const { stub, ctx } = endless(world);
    const pages: number[] = [];
    const reads: number[] = [];
    const counts: (number | undefined)[] = [];

    for (let slice = 0; slice < 40; slice++) {
      Object.assign(stub, { pages: 0, reads: 0 });
      await compareOrphans(ctx);
      pages.push(stub.pages);
      reads.push(stub.reads);
      counts.push(await readCount(world));
      world.clock.advance(5 * MINUTE);
    }

    expect(pages).toEqual(Array<number>(40).fill(10));
    // The record of the disk, and its note as ended, for each page.
    expect(Math.max(...reads)).toBeLessThanOrEqual(20);
    expect(counts).toEqual([...Array<number>(19).fill(0), ...Array<number>(20).fill(100_000), 100_000]);
    const report = await readOrphans(world.ctx);
    const listed = kind === "volumes" ? report?.volumes : report?.snapshots;
    expect(listed).toHaveLength(50);
    expect(Object.values(listed?.[0] ?? {})).toContain("one-0");
    expect(listed?.[0]).toMatchObject({ why: "it has no record", sightings: 2 });
    expect(pass(report)).toEqual([undefined, undefined]);
  });

  test("go on after the last page that was listed, and begin anew if the listing cannot go on", async () => {
    const world = await memoryWorld();
    const { stub, ctx } = endless(world, 6_000);
    const passes: unknown[] = [];
    for (const failsAfter of [3, 0, 3, Infinity, Infinity]) {
      Object.assign(stub, { pages: 0, failsAfter });
      await compareOrphans(ctx);
      passes.push([...pass(await readOrphans(world.ctx)), await readCount(world)]);
    }

    expect(passes).toEqual([
      ["1500", 1_500, 0],
      [undefined, undefined, 0],
      ["1500", 1_500, 0],
      [undefined, undefined, 6_000],
      ["5000", 5_000, 6_000],
    ]);
  });

  test("count their GB-hours between two whole comparisons", async () => {
    const world = await memoryWorld();
    const { ctx } = endless(world, 6_000);
    for (let slice = 0; slice < 4; slice++) {
      await compareOrphans(ctx);
      world.clock.advance(HOUR);
    }

    expect((await readOrphans(world.ctx))?.gbHours).toBe(kind === "volumes" ? 6_000 * 2 * 2 : 0);
  });
});

/** Runs a comparison up to this listing, which never returns, as when a Lambda times out there. */
async function untilHangs(world: MemoryWorld, list: "listOwned" | "listOwnedSnapshots"): Promise<void> {
  const input = Promise.withResolvers<void>();
  const hang = () => {
    input.resolve();
    return new Promise<never>(() => undefined);
  };
  const compared = compareOrphans({ ...world.ctx, volumes: { ...world.volumes, [list]: hang } });
  await Promise.race([input.promise, compared]);
}

test("removes and reports runs while the listing of volumes hangs, and keeps earlier sightings", async () => {
  const { world, uids, living } = await leftoverWorld(1);
  await world.volumes.createVolume({ token: "t", sizeGb: 20, zone: "z", snapshotId: undefined });
  await compareOrphans(world.ctx);
  const before = await readOrphans(world.ctx);
  world.clock.advance(TEN_MINUTES - 1);
  await getRun(world, { uid: "2".repeat(32), key: "no key at all" });

  await untilHangs(world, "listOwned");
  const early = await readOrphans(world.ctx);
  world.clock.advance(1);
  await untilHangs(world, "listOwned");
  const late = await readOrphans(world.ctx);
  world.clock.advance(HOUR);
  await compareOrphans(world.ctx);
  const after = await readOrphans(world.ctx);

  expect(early?.runs.map(({ uid, sightings }) => [uid, sightings])).toEqual(
    expect.arrayContaining([
      [uids[0], 2],
      ["2".repeat(32), 1],
    ]),
  );
  expect(living()).toBe(0);
  expect(late).toMatchObject({ runCount: 1, removedCount: 1, removed: [{ uid: uids[0] }] });
  expect(late?.volumes).toEqual(before?.volumes);
  expect(late?.volumesListedAt).toBe(before?.checkedAt);
  expect(after?.volumes).toMatchObject([{ firstSeenAt: before?.checkedAt, sightings: 2 }]);
  expect(after?.gbHours).toBeCloseTo((20 * (HOUR + TEN_MINUTES)) / HOUR);
});

test("compares volumes while the listing of snapshots hangs", async () => {
  const world = await memoryWorld();
  const { id } = await world.volumes.createVolume({ token: "t", sizeGb: 20, zone: "z", snapshotId: undefined });

  await untilHangs(world, "listOwnedSnapshots");

  expect(await readOrphans(world.ctx)).toMatchObject({ volumes: [{ volume: id }], volumeCount: 1, snapshotCount: 0 });
});

test("writes the report three times: before the volumes, before the snapshots and at the end", async () => {
  const world = await memoryWorld();
  let writes = 0;
  const put: typeof world.table.put = (item, ...condition) => {
    writes += 1;
    return world.table.put(item, ...condition);
  };

  await compareOrphans({ ...world.ctx, table: { ...world.table, put } });

  expect(writes).toBe(3);
});

test("takes GPU-hours of runs without a record from their machines", async () => {
  const world = await memoryWorld();
  const key = keyText(environmentKey("0".repeat(32), "gpu-dev", "gone"));
  const uid = "9".repeat(32);
  await getRun(world, { uid, key });
  const away = () => Promise.reject(new Error("away"));

  await compareOrphans(world.ctx);
  world.clock.advance(HOUR / 10);
  await compareOrphans(world.ctx);
  const counted = await readOrphans(world.ctx);
  world.clock.advance(HOUR / 20);
  await compareOrphans({ ...world.ctx, compute: { ...world.ctx.compute, listNodes: away } });

  expect(counted).toMatchObject({ gpuHours: 0.8, runs: [{ uid, gpus: 8, why: "it has no record" }] });
  expect(await readOrphans(world.ctx)).toMatchObject({ gpuHours: 0.8 });
});

test("counts GPU-hours from the first sighting to the last, and keeps them once the orphan is gone", async () => {
  const world = await memoryWorld({ leavesTombstones: false });
  const ended = await createEnvironment(world.as("alice"), newEnvironment("ended"));
  await world.advance(60_000);
  await requestCancel(world.as("alice"), "ended");
  await world.advance(20 * 60_000);
  await compareOrphans(world.ctx);
  world.clock.advance(HOUR);
  await getRun(world, { uid: ended.uid, key: formatKeyText(ended) });

  await compareOrphans(world.ctx);
  const first = await readOrphans(world.ctx);
  world.clock.advance(HOUR / 2);
  await compareOrphans(world.ctx);
  const second = await readOrphans(world.ctx);
  await world.compute.remove(ended.uid, 1, { graceSeconds: 0, force: true });
  world.clock.advance(HOUR);
  await compareOrphans(world.ctx);
  const third = await readOrphans(world.ctx);

  expect(first).toMatchObject({ gpuHours: 0, runs: [{ sightings: 1 }] });
  expect(second).toMatchObject({ gpuHours: 4, runs: [], removed: [{ uid: ended.uid, run: 1, at: second?.checkedAt }] });
  expect(third).toMatchObject({ gpuHours: 4, runs: [] });
});

const MINUTE = 60_000;
const TEN_MINUTES = 10 * MINUTE;

/** Creates runs whose keys name missing records. */
async function leftoverWorld(count: number) {
  const world = await memoryWorld({ nodes: newNodes({ h100: count }) });
  const uids = Array.from({ length: count }, (_, n) => String(n).padStart(32, "f"));
  for (const [n, uid] of uids.entries()) {
    await getRun(world, { uid, key: keyText(environmentKey("0".repeat(32), "gpu-dev", `gone-${n}`)) });
  }
  const living = () => uids.filter((uid) => world.compute.isLive(uid, 1)).length;
  return { world, uids, living };
}

describe("removal of orphans", () => {
  test("removes runs whose record is missing or ended at the second reading, at least ten minutes later", async () => {
    const { world, living } = await leftoverWorld(1);
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES - 1);
    await compareOrphans(world.ctx);
    const early = living();
    world.clock.advance(1);

    await compareOrphans(world.ctx);
    const report = await readOrphans(world.ctx);
    await compareOrphans(world.ctx);

    expect([early, living()]).toEqual([1, 0]);
    expect(report).toMatchObject({ runCount: 0, removedCount: 1, removed: [{ why: "it has no record", run: 1 }] });
    expect(await readOrphans(world.ctx)).toMatchObject({ removedCount: 1, removed: [{ at: report?.checkedAt }] });
  });

  test("removes nothing in a dry run, and everything at the next comparison after it", async () => {
    const { world, living } = await leftoverWorld(2);
    const ctx = { ...world.ctx, settings: { ...world.ctx.settings, orphansDryRun: true } };
    await compareOrphans(ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(ctx);
    const report = await readOrphans(ctx);
    const left = living();
    await compareOrphans(world.ctx);

    expect(left).toBe(2);
    expect(report).toMatchObject({ runCount: 2, removedCount: 0, runs: [{ sightings: 2 }, { sightings: 2 }] });
    expect(living()).toBe(0);
  });

  test("requires two consecutive readings of the record", async () => {
    const { world, uids, living } = await leftoverWorld(1);
    const key = environmentKey("0".repeat(32), "gpu-dev", "gone-0");
    const unreadable = {
      ...key,
      writers: ["w"],
      kind: "environment",
      uid: uids[0],
      phase: "of a later version",
    } as Item;
    await compareOrphans(world.ctx);
    await world.table.put(unreadable);
    world.clock.advance(TEN_MINUTES);
    await compareOrphans(world.ctx);
    const { runs: [meanwhile] = [] } = (await readOrphans(world.ctx)) ?? {};
    await world.table.remove(key, { ifWriter: "w" });

    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES - 1);
    await compareOrphans(world.ctx);

    expect(meanwhile).toMatchObject({ why: "its record cannot be read", sightings: 2, uselessSince: null });
    expect(living()).toBe(1);
  });

  test("removes a late run of a stopped environment, and does not disturb its next start", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), leavesTombstones: false });
    const policy = { ...reservation, time: "none", restarts: true } as const;
    const made = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
    await world.advance(MINUTE);
    await requestStop(world.as("alice"), "one");
    await world.advance(20 * MINUTE);
    await getRun(world, { uid: made.uid, key: formatKeyText(made) });
    await getRun(world, { uid: made.uid, key: formatKeyText(made), run: 2 });
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(world.ctx);

    const { phase, dueAt, run } = await world.read("alice", "one");
    expect([phase, dueAt, run.n]).toEqual(["stopped", undefined, 1]);
    const { removed = [] } = (await readOrphans(world.ctx)) ?? {};
    expect(removed.map(({ run, why }) => [run, why])).toEqual([[1, "its record is stopped"]]);
    expect([1, 2].map((run) => world.compute.isLive(made.uid, run))).toEqual([false, true]);
  });

  test("removes an earlier run of a living environment, and keeps the present one", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 2 }), leavesTombstones: false });
    const policy = { ...reservation, time: "none", restarts: true } as const;
    const made = await createEnvironment(world.as("alice"), { ...newEnvironment("one"), policy });
    await world.advance(MINUTE);
    await requestStop(world.as("alice"), "one");
    await world.advance(MINUTE);
    await requestStart(world.as("alice"), "one");
    await world.advance(20 * MINUTE);
    await getRun(world, { uid: made.uid, key: formatKeyText(made) });
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(world.ctx);

    const { removed = [] } = (await readOrphans(world.ctx)) ?? {};
    expect(removed.map(({ run, why }) => [run, why])).toEqual([[1, "its record is at run 2"]]);
    expect([1, 2].map((run) => world.compute.isLive(made.uid, run))).toEqual([false, true]);
  });

  test("never removes a run with an unreadable record, a later run number, another uid or a strange key", async () => {
    const { world } = await leftoverWorld(4);
    const living = await createEnvironment(world.as("alice"), newEnvironment("living"));
    await world.table.put({ ...environmentKey("0".repeat(32), "gpu-dev", "bad"), writers: [], kind: "?" } as Item);
    const bad = keyText(environmentKey("0".repeat(32), "gpu-dev", "bad"));
    await getRun(world, { uid: "a".repeat(32), key: bad });
    await getRun(world, { uid: "b".repeat(32), key: formatKeyText(living) });
    await getRun(world, { uid: living.uid, key: formatKeyText(living), run: 7 });
    await getRun(world, { uid: "c".repeat(32), key: "no key at all" });

    for (let again = 0; again < 12; again++) {
      await compareOrphans(world.ctx);
      world.clock.advance(5 * MINUTE);
    }

    const { removed = [], runs = [] } = (await readOrphans(world.ctx)) ?? {};
    expect(removed.map(({ why }) => why)).toEqual(Array(4).fill("it has no record"));
    expect(runs.map(({ uid, why }) => [uid.slice(0, 1), why])).toEqual(
      expect.arrayContaining([
        ["a", "its record cannot be read"],
        ["b", "its record belongs to another environment"],
        ["c", "its key is not the key of an environment"],
        [living.uid.slice(0, 1), "its record is at run 1"],
      ]),
    );
    expect(world.compute.isLive("a".repeat(32), 1)).toBe(true);
    expect(world.compute.isLive("c".repeat(32), 1)).toBe(true);
  });

  test.each([
    [20, 0],
    [21, 21],
  ])("of %s at once %s are left: more than twenty mean lost records, not a leak", async (count, left) => {
    const { world, living } = await leftoverWorld(count);
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(world.ctx);

    expect(living()).toBe(left);
    expect(await readOrphans(world.ctx)).toMatchObject({ runCount: left, removedCount: count - left });
  });

  test("reports and removes nothing after a failed listing or reading", async () => {
    const { world, living } = await leftoverWorld(1);
    const away = () => Promise.reject(new Error("the cluster is away"));
    await compareOrphans(world.ctx);
    const first = await readOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);

    const unlisted = compareOrphans({ ...world.ctx, compute: { ...world.ctx.compute, listRuns: away } });
    await expect(unlisted).rejects.toThrow("away");
    const unread = compareOrphans({ ...world.ctx, table: { ...world.ctx.table, getMany: away } });
    await expect(unread).rejects.toThrow("away");

    expect(living()).toBe(1);
    expect(await readOrphans(world.ctx)).toEqual(first);
  });

  test("removes nothing because of records that were read before a suspension", async () => {
    const { world, living } = await leftoverWorld(1);
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);
    const getMany: typeof world.table.getMany = async (keys) => {
      const items = await world.table.getMany(keys);
      world.clock.advance(MINUTE);
      return items;
    };

    await compareOrphans({ ...world.ctx, table: { ...world.ctx.table, getMany } });
    const slept = living();
    await compareOrphans(world.ctx);

    expect([slept, living()]).toEqual([1, 0]);
  });

  test("retries a failed removal, and removes the others", async () => {
    const { world, uids, living } = await leftoverWorld(3);
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);
    const remove: Compute["remove"] = (uid, run, options) =>
      uid === uids[0] ? Promise.reject(new Error("timed out")) : world.compute.remove(uid, run, options);

    await compareOrphans({ ...world.ctx, compute: { ...world.ctx.compute, remove } });
    const failed = [living(), (await readOrphans(world.ctx))?.runCount];
    await compareOrphans(world.ctx);

    expect(failed).toEqual([1, 1]);
    expect(living()).toBe(0);
  });
});

test("lists a run with the longest possible key by its beginning, and hides no others", async () => {
  const world = await memoryWorld();
  const unknown = keyText(environmentKey("0".repeat(32), "gpu-dev", "gone"));

  for (const digit of ["1", "2"]) await getRun(world, { uid: digit.repeat(32), key: unknown + "x".repeat(255_000) });
  await getRun(world, { uid: "3".repeat(32), key: unknown });
  await compareOrphans(world.ctx);

  const report = await readOrphans(world.ctx);
  const long = { key: (unknown + "x".repeat(200)).slice(0, 200), why: "its key is not the key of an environment" };
  expect(report?.runs).toMatchObject([long, long, { key: unknown, why: "it has no record" }]);
});

test("lists as many long names as fit an item, counts all, and logs how many are left out", async () => {
  const world = await memoryWorld();
  const log = recordingLog();
  const named = (n: number) => `${"漢".repeat(190)}-${n}`;
  const owned = Array.from({ length: 100 }, (_, n) => ({ id: named(n), key: named(n), sizeGb: 1 }));
  const runs = Array.from({ length: 500 }, (_, n) => ({ uid: String(n).padStart(32, "f"), run: 1, key: named(n) }));
  const endless = { uid: "漢".repeat(100_000), run: 1, key: "k" };
  const compute = { ...world.compute, listRuns: async () => [endless, ...runs] };
  const snapshots = owned.map(({ id, key }) => ({ id, key, tags: { key } }));
  const volumes = {
    ...world.volumes,
    listOwned: async () => ({ volumes: owned }),
    listOwnedSnapshots: async () => ({ snapshots }),
  };

  await compareOrphans({ ...world.ctx, compute, volumes, log });

  const report = await readOrphans(world.ctx);
  const listed = [report?.runs, report?.volumes, report?.snapshots].map((list = []) => list.length);
  const counts = { runs: 501, records: 0, volumes: 100, snapshots: 100 };
  expect(report).toMatchObject({ runCount: 501, volumeCount: 100, snapshotCount: 100 });
  for (const [at, least] of [200, 15, 15].entries()) expect(listed[at]).toBeGreaterThan(least);
  expect(report?.runs[0]).toMatchObject({ uid: runs[0]?.uid, key: named(0) });
  const unlisted = 701 - listed.reduce((sum, value) => sum + value, 0);
  expect(log.lines.find(({ event }) => event === "orphans")?.fields).toEqual({ ...counts, unlisted });
});

describe("leftovers of a run", () => {
  /** Creates a job with variables in this phase, and leftovers of this run. */
  async function getParts(world: MemoryWorld, run: number): Promise<Environment> {
    const made = await createEnvironment(world.as("alice"), newEnvironment("one"));
    await world.advance(60_000);
    world.compute.applyParts({ uid: made.uid, run, key: formatKeyText(made) });
    return made;
  }

  test("are removed once the record was read twice as ended, ten minutes apart, and count no GPU-hours", async () => {
    const world = await memoryWorld();
    const { uid } = await getParts(world, 1);
    await requestCancel(world.as("alice"), "one");
    await world.advance(20 * MINUTE);
    world.compute.applyParts({ uid, run: 1, key: keyText(await world.read("alice", "one")) });
    await compareOrphans(world.ctx);
    const first = await readOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES - 1);
    await compareOrphans(world.ctx);
    const early = await world.compute.listParts();
    world.clock.advance(1);

    await compareOrphans(world.ctx);

    expect(first?.runs).toMatchObject([{ uid, run: 1, why: "only leftovers exist: its record is cancelled", gpus: 0 }]);
    expect(early).toHaveLength(1);
    expect(await world.compute.listParts()).toEqual([]);
    expect(await readOrphans(world.ctx)).toMatchObject({ runCount: 0, removedCount: 1, gpuHours: 0 });
  });

  test("do not block the removal of runs, and are removed 20 at a time", async () => {
    const { world, living } = await leftoverWorld(1);
    for (let n = 0; n < 25; n += 1) {
      const key = keyText(environmentKey("0".repeat(32), "gpu-dev", `parts-${n}`));
      world.compute.applyParts({ uid: String(n).padStart(32, "e"), run: 1, key });
    }
    await compareOrphans(world.ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(world.ctx);
    const after = await world.compute.listParts();
    await compareOrphans(world.ctx);

    expect([living(), after.length]).toEqual([0, 5]);
    expect(await world.compute.listParts()).toEqual([]);
  });

  test("stay listed if the cluster refuses to delete them, and do not block others", async () => {
    const { world } = await leftoverWorld(1);
    for (let n = 0; n < 25; n += 1) {
      const key = keyText(environmentKey("0".repeat(32), "gpu-dev", `parts-${n}`));
      world.compute.applyParts({ uid: String(n).padStart(32, "e"), run: 1, key });
    }
    const refused = (await world.compute.listParts()).slice(0, 22).map(({ uid }) => uid);
    const remove: Compute["remove"] = async (uid, run, removal) => {
      if (removal.leftovers && refused.includes(uid)) throw new Error("DELETE secrets: 403 Forbidden");
      return world.compute.remove(uid, run, removal);
    };
    const ctx = { ...world.ctx, compute: { ...world.ctx.compute, remove } };
    for (let times = 0; times < 6; times += 1) {
      await compareOrphans(ctx);
      world.clock.advance(TEN_MINUTES);
    }

    const left = await world.compute.listParts();
    const report = await readOrphans(world.ctx);

    expect(left.map(({ uid }) => uid)).toEqual(refused);
    expect(report?.runs.map(({ uid, sightings }) => [uid, sightings])).toEqual(refused.map((uid) => [uid, 6]));
    expect(report?.removedCount).toBe(4);
  });

  test("are skipped if the cluster does not list them, while the rest is compared", async () => {
    const { world, living } = await leftoverWorld(1);
    const listParts = () => Promise.reject(new Error("forbidden"));
    const ctx = { ...world.ctx, compute: { ...world.ctx.compute, listParts } };
    await compareOrphans(ctx);
    world.clock.advance(TEN_MINUTES);

    await compareOrphans(ctx);

    expect(living()).toBe(0);
  });

  test("stay with their living run, and are removed for an earlier run", async () => {
    const world = await memoryWorld();
    const { uid, ...key } = await getParts(world, 1);
    const of = (run: number) => ({ uid, run, key: keyText(key) });
    const living = await world.compute.listParts();
    for (let times = 0; times < 4; times++) {
      await compareOrphans(world.ctx);
      world.clock.advance(5 * MINUTE);
    }
    const kept = await world.compute.listParts();
    const environment = await world.read("alice", "one");
    await world.table.put({ ...environment, run: { ...environment.run, n: 2 } } as never, {
      ifWriter: environment.writers[0] ?? null,
    });
    world.compute.applyParts(of(1));
    world.compute.applyParts(of(2));
    await world.compute.remove(uid, 1, { graceSeconds: 0, force: true });
    world.compute.applyParts(of(1));
    for (let times = 0; times < 4; times++) {
      await compareOrphans(world.ctx);
      world.clock.advance(5 * MINUTE);
    }

    expect([living, kept]).toEqual([[of(1)], [of(1)]]);
    expect(await world.compute.listParts()).toEqual([of(2)]);
  });

  test("are not reported while an archive of their record is being made, which has the highest run number", async () => {
    const world = await memoryWorld();
    const { uid, ...key } = await getParts(world, 1);
    world.compute.applyParts({ uid, run: 999_999, key: keyText(key) });
    const putArchive = async (settled: boolean) => {
      const environment = await world.read("alice", "one");
      const archive = { blob: "archives/alice/one", file: "one.zip", startedAt: world.clock.now(), settled };
      const ended = { ...environment, end: { ...environment.end, archive } };
      await world.table.put(ended as never, { ifWriter: environment.writers[0] ?? null });
    };

    await putArchive(false);
    await compareOrphans(world.ctx);
    const meanwhile = await readOrphans(world.ctx);
    await putArchive(true);
    await compareOrphans(world.ctx);

    expect(meanwhile).toMatchObject({ runs: [], runCount: 0 });
    expect((await readOrphans(world.ctx))?.runs).toMatchObject([{ uid, run: 999_999, sightings: 1 }]);
  });
});
