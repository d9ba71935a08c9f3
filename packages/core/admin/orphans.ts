import type { Context } from "../context.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, keyOf } from "../environments/record/record.ts";
import type { RunRef } from "../ports/compute.ts";
import type { Item, Stored } from "../ports/table.ts";
import { keyText, orphansKey } from "../store/keys.ts";
import { readable, unlessUnreadable } from "../store/readable.ts";
import { count, listOf, number, orNull, shape, type Table, text } from "../store/shape.ts";
import { parserOf } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";
import { firstThatFit } from "./listed.ts";
import { listLivingKeys } from "./living.ts";
import { type Found, type OrphanRun, orphanRuns, type Sighting, withGpus } from "./orphan-runs.ts";
import { reportSnapshots, type SnapshotsReport, snapshotsBefore, snapshotsReport } from "./orphan-snapshots.ts";
import { reportVolumes, type VolumesReport, volumesBefore, volumesReport } from "./orphan-volumes.ts";
import { type RemovedRun, removeOrphans } from "./remove-orphans.ts";

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

/** What fits an item, which has 400 kB, with 50 volumes and as many snapshots. */
const RUNS_LISTED = { most: 500, bytes: 183_000 };
const RECORDS_LISTED = { most: 500, bytes: 142_500 };
const REMOVED_LISTED = { most: 50, bytes: 13_900 };
/** A run that was just made is missing in a listing from before. */
const SETTLED_MS = 60_000;

/**
 * Compares runs, volumes and snapshots with the records, both ways, notes what does not match, and removes runs that
 * have been useless for ten minutes (docs/architecture/failures.md#orphans). Removes no volume and no snapshot. What is
 * seen once may be on its way: `sightings` and `firstSeenAt` tell what stays. Throws when the cluster or the table did
 * not answer the comparison of runs: then nothing is noted or removed. Nor is anything where the report cannot be read,
 * since what was read before would count again. Volumes and snapshots are compared after the runs: their lists are
 * long, and one that hangs loses nothing that is noted by then.
 */
export async function compareOrphans(ctx: Context<"table" | "compute" | "volumes">): Promise<void> {
  const item = await ctx.table.get(orphansKey);
  const before = item && (await unlessUnreadable(ctx, async () => parseOrphans(item)));
  if (item && !before) return;
  const now = ctx.clock.now();
  const ofRuns = await writeRecord(ctx, await reportRuns(ctx, before, now));
  // Another comparison that was faster lists them too.
  if (!ofRuns) return;
  const withVolumes = await writeRecord(ctx, { ...ofRuns, ...(await reportVolumes(ctx, before, now)) });
  if (!withVolumes) return;
  const report = { ...withVolumes, ...(await reportSnapshots(ctx, before, now)) };
  logFound(ctx, report, report.removedCount - (before?.removedCount ?? 0));
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

/** Those that were removed just now are told with the others, and how many the report does not list. */
function logFound(ctx: Context, report: OrphanReport, removed: number): void {
  const { runCount, recordCount, volumeCount = 0, snapshotCount = 0 } = report;
  const counts = { runs: runCount + removed, records: recordCount, volumes: volumeCount, snapshots: snapshotCount };
  const found = Object.values(counts).reduce((sum, each) => sum + each, 0);
  if (found === 0) return;
  const lists = [report.runs, report.records, report.volumes ?? [], report.snapshots ?? []];
  const unlisted = found - removed - lists.reduce((sum, { length }) => sum + length, 0);
  ctx.log.warn("orphans", { ...counts, ...(unlisted > 0 && { unlisted }) });
}

/** What there is of runs now, with the volumes and snapshots of the report before. */
async function reportRuns(
  ctx: Context<"table" | "compute">,
  before: OrphanReport | undefined,
  now: number,
): Promise<OrphanReport> {
  // Listed before the runs: the parts of one that is just being made are no longer alone then.
  const parts = await listParts(ctx);
  const runs = await ctx.compute.listRuns();
  const lost = await lostRecords(ctx, runs, now);
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
  return {
    ...orphansKey,
    writers: before?.writers ?? [],
    kind: "orphans",
    checkedAt: now,
    runs: firstThatFit(left, RUNS_LISTED),
    records: firstThatFit(records, RECORDS_LISTED),
    runCount: left.length,
    recordCount: records.length,
    ...volumesBefore(before, now),
    ...snapshotsBefore(before),
    removed: firstThatFit([...removed, ...(before?.removed ?? [])], REMOVED_LISTED),
    removedCount: (before?.removedCount ?? 0) + removed.length,
    gpuHours: (before?.gpuHours ?? 0) + used,
  };
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
