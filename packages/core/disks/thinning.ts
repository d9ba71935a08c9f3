import { CLAIM_MS } from "../snapshot-claim.ts";
import type { WorkerContext } from "../worker.ts";
import type { Disk, DiskSnapshot } from "./record.ts";
import { isPutOff, removeSnapshot, sourcesOf, withoutOldest } from "./removal.ts";

/** Completed snapshots that are kept; the last is never removed. */
const KEPT_SNAPSHOTS = 3;

/**
 * Keeps the newest three that really are there, and what a restore is being made from. A backup that was deleted outside
 * counts as none, and takes no other one with it; so does one that cannot be removed. One that could not be removed and
 * is now kept is not to be removed any more. What is to go is claimed by one look and removed by a later one, so that the
 * record decides between its removal and a restore (docs/architecture.md#claims).
 */
export async function thinOut(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const old = await superseded(ctx, disk);
  const snapshots = await Promise.all(
    disk.snapshots.map((one) => {
      if (!old.has(one)) return kept(one, now);
      if (isPutOff(one, now)) return one;
      if (!mayBeRemoved(one, now)) return { ...one, removingUntil: now + 2 * CLAIM_MS };
      return removeSnapshot(ctx, disk, one, now);
    }),
  );
  const left = snapshots.filter((one) => one !== undefined);
  return { ...disk, snapshots: withoutOldest(ctx, disk, left) };
}

/** When a claim that was not used is to be taken back; null: there is none. */
export function unclaimAt({ snapshots }: Disk): number | null {
  const claims = snapshots.flatMap(({ removingUntil, unremoved }) => (unremoved ? [] : (removingUntil ?? [])));
  return claims.length > 0 ? Math.min(...claims) : null;
}

/** Whoever reads the claim now has acted before it is over. */
function mayBeRemoved({ removingUntil }: DiskSnapshot, now: number): boolean {
  return removingUntil !== undefined && now < removingUntil - CLAIM_MS;
}

/** Somebody who read its claim may remove it before that is over. */
function kept(one: DiskSnapshot, now: number): DiskSnapshot {
  if (!one.completed) return one;
  const { removingUntil = now } = one;
  return { ...one, unremoved: undefined, removingUntil: now < removingUntil ? removingUntil : undefined };
}

async function superseded(ctx: WorkerContext, disk: Disk): Promise<ReadonlySet<DiskSnapshot>> {
  const completed = disk.snapshots.filter((snapshot) => snapshot.completed);
  if (completed.length <= KEPT_SNAPSHOTS) return new Set();
  const found = await Promise.all(
    completed.map(async (one) => ((await ctx.volumes.findSnapshot(one.id)) ? [one] : [])),
  );
  const there = found.flat();
  const oldest = there.at(-KEPT_SNAPSHOTS);
  if (!oldest) return new Set();
  const sources = sourcesOf(disk);
  // One that is claimed may have been removed by somebody who died before it was written.
  const isLeft = (one: DiskSnapshot) =>
    there.includes(one) || one.unremoved !== undefined || one.removingUntil !== undefined;
  const old = completed
    .slice(0, completed.indexOf(oldest))
    .filter(({ id }) => !sources.has(id))
    .filter(isLeft);
  return new Set(old);
}
