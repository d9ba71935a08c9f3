import { Conflict } from "../problem.ts";
import { StepTooOld } from "../reconciler/budget.ts";
import type { WorkerContext } from "../reconciler/step.ts";
import { HOUR_MS } from "../units.ts";
import type { Disk, DiskSnapshot, Unremoved } from "./record.ts";

const LONGEST_REASON = 120;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = HOUR_MS;
/** After this many tries, about a quarter of an hour, an operator should look at the cause. */
const TRIES_BEFORE_ALARM = 5;
/** Limit for the record, reached only if no snapshot can be removed, or another party removes them all. */
const MOST_LEFT = 40;

export function removalPauseMs(tries: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries, 9), LONGEST_PAUSE_MS);
}

export function isPutOff({ unremoved }: DiskSnapshot, now: number): boolean {
  return unremoved !== undefined && now < removalAgainAt(unremoved);
}

export function removalAgainAt({ tries, at }: Unremoved): number {
  return at + removalPauseMs(tries);
}

export async function removeSnapshot(
  ctx: WorkerContext,
  disk: Disk,
  snapshot: DiskSnapshot,
  now: number,
): Promise<DiskSnapshot | undefined> {
  const why = await whyNot(() => ctx.volumes.removeSnapshot(snapshot.id));
  if (why === undefined) return undefined;
  const tries = (snapshot.unremoved?.tries ?? 0) + 1;
  reportUnremoved(ctx, "snapshot not removed", tries, { disk: disk.uid, snapshot: snapshot.id, error: why });
  return { ...snapshot, unremoved: { why, tries, at: now } };
}

/** Drops the oldest snapshots that cannot be removed or are gone. The purge finds any that still exist. */
export function withoutOldest(ctx: WorkerContext, disk: Disk, snapshots: readonly DiskSnapshot[]): DiskSnapshot[] {
  const sources = listSources(disk);
  const mayGo = snapshots.filter(
    ({ id, completed, missedAt, unremoved }) =>
      !sources.has(id) && (unremoved !== undefined || (completed && missedAt !== undefined)),
  );
  const forgotten = new Set(mayGo.slice(0, -MOST_LEFT));
  for (const { id } of forgotten) ctx.log.error("snapshot forgotten", { disk: disk.uid, snapshot: id });
  return snapshots.filter((snapshot) => !forgotten.has(snapshot));
}

export function listSources({ making, restores = [] }: Disk): ReadonlySet<string | null> {
  return new Set([...making.map(({ from }) => from), ...restores.map(({ snapshot }) => snapshot)]);
}

export async function whyNot(call: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    if (error instanceof StepTooOld || error instanceof Conflict) throw error;
    return (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_REASON);
  }
}

export function reportUnremoved(
  ctx: WorkerContext,
  event: "snapshot not removed" | "volumes not removed" | "disk not purged",
  tries: number,
  fields: Readonly<Record<string, unknown>>,
): void {
  const level = tries >= TRIES_BEFORE_ALARM ? "error" : "warn";
  ctx.log[level](event, { ...fields, tries });
}
