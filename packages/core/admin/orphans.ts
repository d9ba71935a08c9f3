import type { Context } from "../context.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import { type Environment, toKey } from "../environments/record/record.ts";
import type { RunRef } from "../ports/compute.ts";
import type { Item, Stored } from "../ports/table.ts";
import { keyText, orphansKey } from "../store/keys.ts";
import { readable, unlessUnreadable } from "../store/readable.ts";
import { count, list, number, orNull, shape, type Table, text } from "../store/shape.ts";
import { createParser } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";
import { firstThatFit } from "./listed.ts";
import { listLivingKeys } from "./living.ts";
import {
  type Found,
  type OrphanRun,
  orphanRuns,
  type RemovedRun,
  removeOrphans,
  type Sighting,
  withGpus,
} from "./orphan-runs.ts";
import { reportSnapshots, type SnapshotsReport, snapshotsBefore, snapshotsReport } from "./orphan-snapshots.ts";
import { reportVolumes, type VolumesReport, volumesBefore, volumesReport } from "./orphan-volumes.ts";

export interface OrphanReport extends Stored, VolumesReport, SnapshotsReport {
  readonly kind: "orphans";
  readonly checkedAt: number;
  readonly runs: readonly OrphanRun[];
  readonly records: readonly Sighting[];
  /** The numbers before the lists were cut. */
  readonly runCount: number;
  readonly recordCount: number;
  /** The last removed runs, newest first, and the total number. */
  readonly removed: readonly RemovedRun[];
  readonly removedCount: number;
  /** GPU-hours used by orphans since the first comparison. */
  readonly gpuHours: number;
}

/** Limits that keep the report below DynamoDB's 400 KB per item, with four lists of volumes and snapshots. */
const RUNS_LISTED = { most: 500, bytes: 170_000 };
const RECORDS_LISTED = { most: 500, bytes: 98_000 };
const REMOVED_LISTED = { most: 50, bytes: 13_900 };
/** A listing may miss a run that was just created. */
const SETTLED_MS = 60_000;

/**
 * Compares runs, volumes and snapshots with the records, reports mismatches, and removes runs that have been useless
 * for ten minutes (docs/architecture/failures.md#orphans). It never removes volumes or snapshots. A single sighting
 * may be in transit; `sightings` and `firstSeenAt` show what stays. Throws if the cluster or the table does not answer
 * for the runs, and then reports and removes nothing. It also does nothing if the previous report is unreadable,
 * because its counts would start over. Volumes and snapshots follow the runs, because their long listings may hang.
 */
export async function compareOrphans(ctx: Context<"table" | "compute" | "volumes">): Promise<void> {
  const item = await ctx.table.get(orphansKey);
  const before = item && (await unlessUnreadable(ctx, async () => parseOrphans(item)));
  if (item && !before) return;
  const now = ctx.clock.now();
  const ofRuns = await writeRecord(ctx, await reportRuns(ctx, before, now));
  // Another comparison was faster and lists them.
  if (!ofRuns) return;
  const withVolumes = await writeRecord(ctx, { ...ofRuns, ...(await reportVolumes(ctx, before, now)) });
  if (!withVolumes) return;
  const report = { ...withVolumes, ...(await reportSnapshots(ctx, before, now)) };
  logFound(ctx, report, report.removedCount - (before?.removedCount ?? 0));
  await writeRecord(ctx, report);
}

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

const parseOrphans: (item: Item) => OrphanReport = createParser("orphans", {
  checkedAt: number,
  runs: list(shape<OrphanRun>({ ...sighting, pool: orNull(text), gpus: orNull(number), uselessSince: orNull(number) })),
  records: list(shape(sighting)),
  ...volumesReport,
  ...snapshotsReport,
  runCount: count,
  recordCount: count,
  removed: list(shape<RemovedRun>({ uid: text, run: number, key: text, why: text, at: number })),
  removedCount: count,
  gpuHours: number,
});

function logFound(ctx: Context, report: OrphanReport, removed: number): void {
  const { runCount, recordCount, volumeCount = 0, snapshotCount = 0 } = report;
  const counts = { runs: runCount + removed, records: recordCount, volumes: volumeCount, snapshots: snapshotCount };
  const found = Object.values(counts).reduce((sum, each) => sum + each, 0);
  if (found === 0) return;
  const lists = [report.runs, report.records, report.volumes ?? [], report.snapshots ?? []];
  const unlisted = found - removed - lists.reduce((sum, { length }) => sum + length, 0);
  ctx.log.warn("orphans", { ...counts, ...(unlisted > 0 && { unlisted }) });
}

/** Compares the runs, and copies volumes and snapshots from the previous report. */
async function reportRuns(
  ctx: Context<"table" | "compute">,
  before: OrphanReport | undefined,
  now: number,
): Promise<OrphanReport> {
  // List parts before runs, so that the parts of a run that is being created are not taken for leftovers.
  const parts = await listParts(ctx);
  const runs = await ctx.compute.listRuns();
  const lost = await lostRecords(ctx, runs, now);
  const leftovers = parts.filter((part) => !runs.some(({ uid, run }) => uid === part.uid && run === part.run));
  // Read last, because removals are decided on it.
  const readAt = ctx.clock.monotonic();
  const orphans = await withGpus(ctx, await orphanRuns(ctx, runs, leftovers));
  const seen = orphans.map((orphan) => sightedRun(before?.runs, orphan, now));
  const records = lost.map((record) => ({ ...record, ...sighted(before?.records, record, now) }));
  const hours = before ? (now - before.checkedAt) / HOUR_MS : 0;
  const removed = await removeOrphans(ctx, seen, { now, readAt, leftovers });
  const left = seen.filter((orphan) => !removed.some(({ uid, run }) => uid === orphan.uid && run === orphan.run));
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

/** Returns no parts if the listing fails, for example for lack of a permission. Runs are compared anyway. */
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
      return { uid, run, key: keyText(toKey(record)), why: `it is ${phase} but has no run` };
    });
}

function shouldRun({ phase, run: { appliedAt, withdrawing } }: Environment, now: number): boolean {
  if (phase !== "active" && phase !== "preparing") return false;
  return appliedAt !== null && appliedAt < now - SETTLED_MS && !withdrawing;
}

function sighted(before: readonly Sighting[] | undefined, { uid, run }: Pick<Sighting, "uid" | "run">, now: number) {
  const knownSighting = before?.find((sighting) => sighting.uid === uid && sighting.run === run);
  return { firstSeenAt: knownSighting?.firstSeenAt ?? now, sightings: (knownSighting?.sightings ?? 0) + 1 };
}

function sightedRun(before: readonly OrphanRun[] | undefined, { isUseless, ...found }: Found, now: number): OrphanRun {
  const knownRun = before?.find((run) => run.uid === found.uid && run.run === found.run);
  return { ...found, ...sighted(before, found, now), uselessSince: isUseless ? (knownRun?.uselessSince ?? now) : null };
}
