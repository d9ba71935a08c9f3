import type { Context } from "../context.ts";
import { isArchiving } from "../environments/record/archive-use.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, holdsCapacity, isEnded, keyOf } from "../environments/record/record.ts";
import { findInstanceType } from "../fleet.ts";
import { keyOfText, keyText, kindOfKey, orphansKey } from "../keys.ts";
import type { ComputeNode, RunRef } from "../ports/compute.ts";
import type { Item, Stored } from "../ports/table.ts";
import { readable, readEach, unlessUnreadable } from "../readable.ts";
import { count, listOf, number, orNull, shape, type Table, text } from "../shape.ts";
import { parserOf } from "../unreadable.ts";
import { writeRecord } from "../write-record.ts";
import { listLivingKeys } from "./living.ts";
import { reportSnapshots, type SnapshotsReport, snapshotsReport } from "./orphan-snapshots.ts";
import { reportVolumes, type VolumesReport, volumesReport } from "./orphan-volumes.ts";
import { type RemovedRun, removeOrphans } from "./remove-orphans.ts";

interface Sighting {
  readonly uid: string;
  readonly run: number;
  /** The record's key in a message. */
  readonly key: string;
  readonly why: string;
  readonly firstSeenAt: number;
  /** Comparisons in a row that found it. */
  readonly sightings: number;
}

/** Compute that no record holds capacity for; `gpus` null: no record says how many. */
export interface OrphanRun extends Sighting {
  readonly pool: string | null;
  readonly gpus: number | null;
  /** Since when every comparison read its record, and found it beyond that run or missing; null: this one did not. */
  readonly uselessSince: number | null;
}

/** What the latest comparison of cluster and records found, both ways, and what was removed. */
export interface OrphanReport extends Stored, VolumesReport, SnapshotsReport {
  readonly kind: "orphans";
  readonly checkedAt: number;
  readonly runs: readonly OrphanRun[];
  /** Records whose compute is not there. */
  readonly records: readonly Sighting[];
  /** How many there were before the lists were cut. */
  readonly runCount: number;
  readonly recordCount: number;
  /** The runs removed last, the newest first, and how many there ever were. */
  readonly removed: readonly RemovedRun[];
  readonly removedCount: number;
  /** What orphans are known to have used since the first comparison. */
  readonly gpuHours: number;
}

/** More of each would not fit an item. */
const MOST_LISTED = 500;
const MOST_REMOVED_LISTED = 50;
/** Keys of environments are shorter; what a cluster answers as the key of a run may have 256 KB. */
const LONGEST_KEY = 200;
/** A run that was just made is missing in a listing from before. */
const SETTLED_MS = 60_000;
const HOUR_MS = 3_600_000;

/**
 * Compares what runs in the cluster with the records, both ways, notes what does not match, and removes what has been
 * useless for ten minutes (docs/architecture.md#not-seen-is-not-gone). What is seen once may be on its way: `sightings`
 * and `firstSeenAt` tell what stays. Throws when the cluster or the table did not answer: then nothing is noted or
 * removed, and so it is when the report cannot be read: what was read before would count again.
 */
export async function findOrphans(ctx: Context<"table" | "compute" | "volumes">): Promise<void> {
  const item = await ctx.table.get(orphansKey);
  const before = item && (await unlessUnreadable(ctx, async () => parseOrphans(item)));
  if (item && !before) return;
  const now = ctx.clock.now();
  // Listed before the runs: the parts of one that is just being made are no longer alone then.
  const parts = await listParts(ctx);
  const runs = await ctx.compute.listRuns();
  const lost = await lostRecords(ctx, runs, now);
  const volumes = await reportVolumes(ctx, before, now);
  const snapshots = await reportSnapshots(ctx, before, now);
  const leftovers = parts.filter((part) => !runs.some(({ uid, run }) => uid === part.uid && run === part.run));
  // Read last, since what is removed is decided on it.
  const readAt = ctx.clock.monotonic();
  const orphans = await withGpus(ctx, await orphanRuns(ctx, runs, leftovers));
  const seen = orphans.map((one) => sightedRun(before?.runs, one, now));
  const records = lost.map((one) => ({ ...one, ...sighted(before?.records, one, now) }));
  const hours = before ? (now - before.checkedAt) / HOUR_MS : 0;
  const removed = await removeOrphans(ctx, seen, { now, readAt, leftovers });
  const left = seen.filter((one) => !removed.some(({ uid, run }) => uid === one.uid && run === one.run));
  const used = seen.filter(({ sightings }) => sightings > 1).reduce((sum, { gpus }) => sum + (gpus ?? 0) * hours, 0);
  const report: OrphanReport = {
    ...orphansKey,
    writers: before?.writers ?? [],
    kind: "orphans",
    checkedAt: now,
    runs: left.slice(0, MOST_LISTED),
    records: records.slice(0, MOST_LISTED),
    runCount: left.length,
    recordCount: records.length,
    ...volumes,
    ...snapshots,
    removed: [...removed, ...(before?.removed ?? [])].slice(0, MOST_REMOVED_LISTED),
    removedCount: (before?.removedCount ?? 0) + removed.length,
    gpuHours: (before?.gpuHours ?? 0) + used,
  };
  const { volumeCount = 0, snapshotCount = 0 } = report;
  if (seen.length + records.length + volumeCount + snapshotCount > 0) {
    const counts = { runs: seen.length, records: records.length, volumes: volumeCount, snapshots: snapshotCount };
    ctx.log.warn("orphans", counts);
  }
  await writeRecord(ctx, report);
}

/** The latest report; undefined before the first comparison. */
export async function readOrphans(ctx: Context<"table">): Promise<OrphanReport | undefined> {
  const item = await ctx.table.get(orphansKey);
  return item && parseOrphans(item);
}

const sighting: Table<Sighting> = {
  uid: text,
  run: number,
  key: text,
  why: text,
  firstSeenAt: number,
  sightings: count,
};

const parseOrphans: (item: Item) => OrphanReport = parserOf("orphans", {
  checkedAt: number,
  runs: listOf(
    shape<OrphanRun>({ ...sighting, pool: orNull(text), gpus: orNull(number), uselessSince: orNull(number) }),
  ),
  records: listOf(shape(sighting)),
  ...volumesReport,
  ...snapshotsReport,
  runCount: count,
  recordCount: count,
  removed: listOf(shape<RemovedRun>({ uid: text, run: number, key: text, why: text, at: number })),
  removedCount: count,
  gpuHours: number,
});

/** `isUseless`: its record was read, and is beyond that run or not there. */
type Found = Omit<OrphanRun, "firstSeenAt" | "sightings" | "uselessSince"> & { readonly isUseless: boolean };

/** The record decides, as everywhere: its run is wanted while it holds capacity for it. */
async function orphanRuns(
  ctx: Context<"table">,
  runs: readonly RunRef[],
  leftovers: readonly RunRef[],
): Promise<Found[]> {
  const keys = [...runs, ...leftovers].flatMap((run) => environmentKeyOf(run) ?? []);
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const { records: read, unreadable } = readEach(ctx, items, parseEnvironment);
  const records = new Map(read.map((record) => [keyText(keyOf(record)), record]));
  const compare = (ref: RunRef): Found[] => {
    const { uid, run, key } = ref;
    const unknown = { uid, run, key: key.slice(0, LONGEST_KEY), pool: null, gpus: null, isUseless: false };
    if (!environmentKeyOf(ref)) return [{ ...unknown, why: "its key is that of no environment" }];
    if (unreadable.has(key)) return [{ ...unknown, why: "its record cannot be read" }];
    const record = records.get(key);
    if (!record) return [{ ...unknown, why: "it has no record", isUseless: true }];
    const isOwn = record.uid === uid;
    if (isOwn && holdsCapacity(record, run)) return [];
    const { pool, gpus } = record.size;
    return [{ ...unknown, why: whyNot(record, uid, run), pool, gpus, isUseless: isOwn && isOver(record, run) }];
  };
  // The parts of an archive are those of a run above every other one, which no record holds.
  const isOfArchive = ({ uid, run, key }: RunRef) => {
    const record = records.get(key);
    return record?.uid === uid && run > record.run.n && isArchiving(record);
  };
  const unwanted = leftovers.filter((ref) => !isOfArchive(ref));
  return [...runs.flatMap(compare), ...unwanted.flatMap(compare).map(leftover)];
}

/** Nothing starts this run again: what was stopped, or given back to the queue, is started under a higher number. */
function isOver(record: Environment, run: number): boolean {
  return isEnded(record) || run < record.run.n || (record.phase === "stopped" && run === record.run.n);
}

/** A right to list them that is missing keeps no run from being compared. */
async function listParts(ctx: Context<"compute">): Promise<readonly RunRef[]> {
  try {
    return await ctx.compute.listParts();
  } catch (error) {
    ctx.log.warn("parts of runs not listed", { error: String(error) });
    return [];
  }
}

/** Where no record says how many it has, the machines do; null: they do not either. */
async function withGpus(ctx: Context<"compute">, found: readonly Found[]): Promise<readonly Found[]> {
  if (!found.some(({ gpus }) => gpus === null)) return found;
  const nodes = await ctx.compute.listNodes().catch(() => []);
  return found.map((one) => (one.gpus === null ? { ...one, gpus: gpusOn(nodes, one) } : one));
}

function gpusOn(nodes: readonly ComputeNode[], found: Found): number | null {
  const gpus = nodes.flatMap(({ instanceType, runs = [] }) => {
    const hasGpus = (findInstanceType(instanceType)?.gpus ?? 0) > 0;
    const own = runs.filter(({ uid, run }) => uid === found.uid && run === found.run);
    return own.map(({ units }) => (hasGpus ? units : 0));
  });
  return gpus.length === 0 ? null : gpus.reduce((sum, one) => sum + one, 0);
}

/** Nothing of it runs: it holds no GPUs, and somebody's variables and addresses for nobody. */
function leftover(found: Found): Found {
  return { ...found, gpus: 0, why: `only parts of it are left: ${found.why}` };
}

function environmentKeyOf({ key }: RunRef) {
  const named = key.length > LONGEST_KEY ? undefined : keyOfText(key);
  return named && kindOfKey(named) === "environment" ? named : undefined;
}

function whyNot(record: Environment, uid: string, run: number): string {
  if (record.uid !== uid) return "its record is of another life";
  return record.run.n === run ? `its record is ${record.phase}` : `its record is at run ${record.run.n}`;
}

async function lostRecords(
  ctx: Context<"table">,
  runs: readonly RunRef[],
  now: number,
): Promise<Omit<Sighting, "firstSeenAt" | "sightings">[]> {
  const keys = await listLivingKeys(ctx);
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys);
  const running = new Set(runs.map(({ uid, run }) => `${uid}-r${run}`));
  return readable(ctx, items, parseEnvironment)
    .filter((record) => shouldRun(record, now) && !running.has(`${record.uid}-r${record.run.n}`))
    .map((record) => {
      const {
        uid,
        run: { n: run },
        phase,
      } = record;
      return { uid, run, key: keyText(keyOf(record)), why: `it is ${phase} and nothing of it runs` };
    });
}

function shouldRun({ phase, run: { appliedAt, withdrawing } }: Environment, now: number): boolean {
  if (phase !== "active" && phase !== "preparing") return false;
  return appliedAt !== null && appliedAt < now - SETTLED_MS && !withdrawing;
}

function sighted(before: readonly Sighting[] | undefined, { uid, run }: Pick<Sighting, "uid" | "run">, now: number) {
  const known = before?.find((one) => one.uid === uid && one.run === run);
  return { firstSeenAt: known?.firstSeenAt ?? now, sightings: (known?.sightings ?? 0) + 1 };
}

function sightedRun(before: readonly OrphanRun[] | undefined, { isUseless, ...found }: Found, now: number): OrphanRun {
  const known = before?.find((one) => one.uid === found.uid && one.run === found.run);
  return { ...found, ...sighted(before, found, now), uselessSince: isUseless ? (known?.uselessSince ?? now) : null };
}
