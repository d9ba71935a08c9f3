import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item, Key } from "../../ports/table.ts";
import type { Disk, DiskSnapshot } from "../record.ts";
import { deleteDisk } from "../requests.ts";
import { getDisk } from "../view.ts";
import { restoreDisk, settleRestores } from "./from-snapshot.ts";

const MINUTE = 60_000;
/** Retention of a deleted disk. */
const RETENTION = 30 * MINUTE;
const DAY = 24 * 60 * MINUTE;
const NOW = Date.UTC(2026, 2, 1);
const volume = { id: "vol-9", zone: "zone-a" };
let world: MemoryWorld;
let jobs = 0;

/** Runs a job that writes to a disk, or only opens it, and ends. Returns what it found. */
async function use(name: string, text?: string): Promise<string | undefined> {
  const id = `job-${++jobs}`;
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: name }));
  await world.advance(2_000);
  const volume = (await computeDisk(name)).volume?.id ?? "";
  const found = world.volumes.findContent(volume)?.content;
  if (text !== undefined) world.volumes.write(volume, text);
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
  return found;
}

async function computeDisk(name: string): Promise<Disk> {
  return (await getDisk(world.as("alice"), name)).disk;
}

function restore(snapshotId: string, newName: string, uid = world.ctx.ids.uid()) {
  return restoreDisk(world.as("alice"), "data", { snapshotId, newName }, { id: world.ctx.ids.uuid4(), uid });
}

/** Runs `work` before an item is written. */
function onPut(work: (item: Item) => Promise<void>): void {
  const { put } = world.table;
  const working: typeof put = async (item, options) => {
    await work(item as Item);
    await put(item, options);
  };
  Object.assign(world.table, { put: working });
}

/** Reports whether the removal of the oldest backup is claimed. */
function isClaimedFor({ kind, snapshots }: Item): boolean {
  const [first] = (kind === "disk" ? snapshots : []) as Disk["snapshots"];
  return first?.id === oldest && first.removingUntil !== undefined;
}

/** The older of its two backups. */
let oldest: string;

beforeEach(async () => {
  world = await memoryWorld({ settings: { diskRetentionDays: RETENTION / (24 * 60 * MINUTE) } });
  for (const text of ["first", "second"]) await use("data", text);
  oldest = (await computeDisk("data")).snapshots[0]?.id ?? "";
});

describe("a disk from another disk's snapshot", () => {
  test("contains a copy of the original's content, and later the data of its own jobs", async () => {
    const { source } = await restore(oldest, "before");

    const found = await use("before", "changed");

    expect(source).toEqual({ id: oldest, at: (await computeDisk("data")).snapshots[0]?.at });
    expect(found).toBe("first");
    expect(await use("before")).toBe("changed");
    expect(await use("data")).toBe("second");
  });

  test("is read only once by the next restore of the snapshot", async () => {
    const uid = world.ctx.ids.uid();
    await restore(oldest, "before", uid);
    const { sk } = await computeDisk("before");
    const { get } = world.table;
    const names: string[] = [];
    const noting = async (key: Key) => {
      names.push(key.sk);
      return get(key);
    };
    Object.assign(world.table, { get: noting });

    await restore(oldest, "another");

    expect(names.filter((name) => name === sk)).toHaveLength(1);
  });

  test("keeps the snapshot while it has a volume but no backup", async () => {
    await restore(oldest, "before");
    await createEnvironment(world.as("alice"), newEnvironment("long", { disk: "before", gpus: 1, hours: 20 }));
    await world.advance(MINUTE);
    const { volume } = await computeDisk("before");
    for (const text of ["3", "4", "5"]) await use("data", text);

    expect(volume).not.toBeNull();
    expect(world.volumes.snapshotIds()).toContain(oldest);
  });

  test("protects the snapshot from thinning until it has a backup", async () => {
    await restore(oldest, "before");
    for (const text of ["3", "4", "5"]) await use("data", text);

    const before = world.volumes.snapshotIds().includes(oldest);
    const found = await use("before");
    await use("data", "6");

    expect([before, found]).toEqual([true, "first"]);
    expect(world.volumes.snapshotIds()).not.toContain(oldest);
    expect((await computeDisk("data")).restores).toBeUndefined();
  });

  test("delays the purge of the deleted original until it has a backup", async () => {
    await restore(oldest, "before");
    await deleteDisk(world.as("alice"), "data");
    await world.advance(RETENTION + 5 * MINUTE);

    const before = (await computeDisk("data")).phase;
    const found = await use("before");
    await world.advance(90 * MINUTE);

    expect([before, found]).toEqual(["deleted", "first"]);
    await expect(computeDisk("data")).rejects.toThrow("Disk 'data' not found");
    expect(await use("before")).toBe("first");
  });

  test("is refused at the moment when the snapshot is removed", async () => {
    const input: Promise<unknown>[] = [];
    const { removeSnapshot } = world.volumes;
    const asking: typeof removeSnapshot = async (id) => {
      input.push(restore(id, "before").catch((error: Error) => error.message));
      await Promise.all(input);
      await removeSnapshot(id);
    };
    Object.assign(world.volumes, { removeSnapshot: asking });

    for (const text of ["3", "4"]) await use("data", text);

    expect(await Promise.all(input)).toEqual([`Snapshot '${oldest}' is being removed`]);
    expect((await computeDisk("data")).snapshots.map(({ id }) => id)).toEqual(world.volumes.snapshotIds());
    await expect(computeDisk("before")).rejects.toThrow("not found");
  });

  test("keeps the snapshot if it is faster than the claim for the removal", async () => {
    let isAsked = false;
    onPut(async (item) => {
      if (isAsked || !isClaimedFor(item)) return;
      isAsked = true;
      await restore(oldest, "before");
    });

    for (const text of ["3", "4"]) await use("data", text);

    expect(isAsked).toBe(true);
    expect(world.volumes.snapshotIds()).toContain(oldest);
    expect(await use("before")).toBe("first");
  });

  test("can use a snapshot with a claimed removal once that is one of the newest three", async () => {
    let newest: string | undefined;
    onPut(async (item) => {
      if (newest || !isClaimedFor(item)) return;
      newest = world.volumes.snapshotIds().at(-1) ?? "";
      world.volumes.loseSnapshot(newest);
    });

    for (const text of ["3", "4"]) await use("data", text);
    const refused = restore(oldest, "before");
    await expect(refused).rejects.toThrow("is being removed");
    await world.advance(3 * MINUTE);
    await restore(oldest, "before");

    expect(await use("before")).toBe("first");
  });

  test.each<[string, readonly DiskSnapshot[], boolean]>([
    ["is pending", [{ id: "own", at: 1, completed: false }], true],
    ["failed", [{ id: "own", at: 1, completed: false, failed: true }], true],
    ["is complete", [{ id: "own", at: 1, completed: true }], false],
    [
      "is complete and the newer is pending",
      [
        { id: "own", at: 1, completed: true },
        { id: "newer", at: 2, completed: false },
      ],
      false,
    ],
  ])("decides whether to keep the snapshot when its own backup %s", async (_, snapshots, isKept) => {
    await restore(oldest, "before");
    const made = await computeDisk("before");
    const changed: Disk = { ...made, snapshots };
    await world.table.put(changed);

    const settled = await settleRestores(world.ctx, await computeDisk("data"), world.clock.now());

    expect((settled.restores ?? []).map(({ disk }) => disk)).toEqual(isKept ? [made.uid] : []);
  });

  test.each<[string, Partial<Disk>, boolean]>([
    ["creating", { phase: "creating" }, true],
    ["available", { phase: "available" }, true],
    ["deleted", { phase: "deleted", purgeAt: 1 }, true],
    ["purging", { phase: "purging" }, false],
    ["purged", { phase: "purged" }, false],
  ])("decides whether to keep the snapshot while it is %s", async (_, fields, isKept) => {
    await restore(oldest, "before");
    const made = await computeDisk("before");
    await world.table.put({ ...made, ...fields });

    const settled = await settleRestores(world.ctx, await computeDisk("data"), world.clock.now());

    expect(settled.restores !== undefined).toBe(isKept);
  });

  test.each<[string, number, boolean]>([
    ["less than a quarter of an hour", 15 * MINUTE - 1, true],
    ["a quarter of an hour", 15 * MINUTE, false],
  ])("decides whether to keep the snapshot when its record is missing for %s", async (_, ms, isKept) => {
    const data = await computeDisk("data");
    const restores = [{ snapshot: oldest, disk: world.ctx.ids.uid(), at: world.clock.now() }];

    const settled = await settleRestores(world.ctx, { ...data, restores }, world.clock.now() + ms);

    expect(settled.restores !== undefined).toBe(isKept);
  });

  test.each<[string, Record<string, unknown>, boolean]>([
    ["cannot be read", { sizeGb: "large" }, true],
    ["lost its volume less than 30 days ago", { volume, written: true, lostAt: NOW - 30 * DAY + 1 }, true],
    ["lost its volume 30 days ago", { volume, written: true, lostAt: NOW - 30 * DAY }, false],
    ["was lost before it had a volume", { volume: null, lostAt: NOW - 40 * DAY }, true],
  ])("decides whether to keep the snapshot when it %s", async (_, fields, isKept) => {
    await restore(oldest, "before");
    const made = await computeDisk("before");
    await world.table.put({ ...made, ...fields });

    const settled = await settleRestores(world.ctx, await computeDisk("data"), NOW);

    expect(settled.restores !== undefined).toBe(isKept);
  });

  test.each<[string, number, string, boolean]>([
    ["has no name yet after less than a quarter of an hour", 15 * MINUTE - 1, "unnamed", true],
    ["never got its name in a quarter of an hour", 15 * MINUTE, "unnamed", false],
    ["has its name after a quarter of an hour", 15 * MINUTE, "named", true],
  ])("decides whether to keep the snapshot when it %s", async (_, ms, kind, isKept) => {
    await restore(oldest, "before");
    const made = await computeDisk("before");
    const uid = kind === "named" ? made.uid : world.ctx.ids.uid();
    const copy: Disk = { ...made, uid, sk: uid };
    await world.table.put(copy);
    const at = world.clock.now();

    const data = { ...(await computeDisk("data")), restores: [{ snapshot: oldest, disk: uid, at }] };

    expect((await settleRestores(world.ctx, data, at + ms)).restores !== undefined).toBe(isKept);
  });

  test("does not keep a snapshot that the original's record no longer names", async () => {
    await restore(oldest, "before");
    const data = await computeDisk("data");
    const snapshots = data.snapshots.filter(({ id }) => id !== oldest);

    expect(snapshots.length).toBeGreaterThan(0);
    expect((await settleRestores(world.ctx, { ...data, snapshots }, NOW)).restores).toBeUndefined();
  });

  test("renews its claim by a repeat only after half of the quarter of an hour", async () => {
    const uid = world.ctx.ids.uid();
    const times: (number | undefined)[] = [];
    for (const ms of [0, 7 * MINUTE, MINUTE]) {
      world.clock.advance(ms);
      await restore(oldest, "before", uid);
      times.push((await computeDisk("data")).restores?.[0]?.at);
    }

    const [first, second, third] = times;
    expect(second).toBe(first);
    expect(third).toBe((first ?? 0) + 8 * MINUTE);
  });

  test("does not keep the snapshot if it was never created, or was deleted", async () => {
    await expect(restore(oldest, "data")).rejects.toThrow("Disk 'data' already exists");
    await restore(oldest, "before");
    await deleteDisk(world.as("alice"), "before");
    await world.advance(RETENTION + 20 * MINUTE);
    for (const text of ["3", "4", "5"]) await use("data", text);

    expect((await computeDisk("data")).restores).toBeUndefined();
    expect(world.volumes.snapshotIds()).not.toContain(oldest);
  });

  test("is one of at most ten restores without a backup of their own", async () => {
    for (let n = 1; n <= 10; n++) await restore(oldest, `copy-${n}`);
    await expect(restore(oldest, "copy-11")).rejects.toThrow("10 disks that were restored from this one");

    await use("copy-1");

    expect((await restore(oldest, "copy-11")).source.id).toBe(oldest);
  });

  test("is allowed beside deleted and lost restores, which still claim the snapshot", async () => {
    for (let n = 1; n <= 10; n++) await restore(oldest, `copy-${n}`);
    await deleteDisk(world.as("alice"), "copy-1");
    const copy = await computeDisk("copy-2");
    const lost = { lostAt: world.clock.now(), source: { id: oldest, at: 1, missedAt: world.clock.now() } };
    await world.table.put({ ...copy, ...lost });

    for (const n of [11, 12]) await restore(oldest, `copy-${n}`);

    await expect(restore(oldest, "copy-13")).rejects.toThrow("10 disks that were restored from this one");
    expect((await computeDisk("data")).restores).toHaveLength(12);
  });

  test("is refused when forty restores claim a snapshot, in any state", async () => {
    for (let n = 1; n <= 40; n++) {
      await restore(oldest, `copy-${n}`);
      await deleteDisk(world.as("alice"), `copy-${n}`);
    }

    await expect(restore(oldest, "copy-41")).rejects.toThrow("40 disks that were restored from this one");
  });

  test("is idempotent for one request", async () => {
    const uid = world.ctx.ids.uid();
    for (let at = 0; at < 2; at++) await restore(oldest, "before", uid);

    expect((await computeDisk("data")).restores).toMatchObject([{ snapshot: oldest, disk: uid }]);
    expect((await computeDisk("before")).uid).toBe(uid);
  });

  test("is refused for a snapshot that is pending, not listed or of another owner's disk", async () => {
    const ownDisk = await computeDisk("data");
    const [first] = ownDisk.snapshots;
    if (!first) throw new Error("No snapshot");
    for (const [field, words] of [
      [{ completed: false }, "is not completed"],
      [{ missedAt: 1 }, "is missing"],
    ] as const) {
      const item = (await world.table.get(ownDisk)) ?? ownDisk;
      await world.table.put({ ...item, snapshots: [{ ...first, ...field }] } as typeof item);
      await expect(restore(first.id, "before")).rejects.toThrow(words);
    }

    const theirs = restoreDisk(
      world.as("bob"),
      "data",
      { snapshotId: first.id, newName: "stolen" },
      { id: world.ctx.ids.uuid4(), uid: world.ctx.ids.uid() },
    );

    await expect(theirs).rejects.toThrow("Disk 'data' not found");
  });
});
