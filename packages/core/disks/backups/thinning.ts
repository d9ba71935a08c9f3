import { CLAIM_MS } from "../../reconciler/snapshot-claim.ts";
import type { WorkerContext } from "../../reconciler/worker.ts";
import { changeRecord } from "../../store/write-record.ts";
import { type Disk, type DiskSnapshot, findDisk } from "../record.ts";
import { isPutOff, removeSnapshot, sourcesOf, withoutOldest } from "../removal.ts";

/** Completed backups that are kept; the last is never removed. */
const KEPT_SNAPSHOTS = 3;
/** Completed snapshots on demand that are kept apart from backups. */
export const KEPT_ON_DEMAND = 5;

/** A disk with what is to be removed of it claimed, and how that is removed once the claim is written. */
interface Thinned {
  readonly disk: Disk;
  readonly after?: (ctx: WorkerContext) => Promise<void>;
}

/**
 * Keeps the newest three backups and the newest five snapshots on demand, and every source of a running restore. Only
 * snapshots that the provider still has count. A look first claims the older snapshots in the record and then removes
 * them, so the record decides between a removal and a restore (docs/architecture/consistency.md#claims). The same look
 * does both, because the next one may come after the claim has expired. A snapshot that is kept again loses its failed
 * removal.
 */
export async function thinOut(ctx: WorkerContext, disk: Disk, now: number): Promise<Thinned> {
  const old = await superseded(ctx, disk);
  const until = now + CLAIM_MS;
  const going = new Set([...old].filter((one) => !isPutOff(one, now)).map(({ id }) => id));
  const snapshots = disk.snapshots.map((one) => {
    if (going.has(one.id)) return { ...one, removingUntil: until };
    return old.has(one) ? one : kept(one, now);
  });
  // Not told by the moment: what was refused in the same one has it as well.
  const claimed = snapshots.filter(({ id }) => going.has(id));
  const thinned = { ...disk, snapshots: withoutOldest(ctx, disk, snapshots) };
  if (claimed.length === 0) return { disk: thinned };
  return { disk: thinned, after: (guarded) => removeClaimed(guarded, thinned, claimed, until, now) };
}

/** Says in the record what became of them; where nobody gets to that, the next look claims and removes them again. */
async function removeClaimed(
  ctx: WorkerContext,
  disk: Disk,
  claimed: readonly DiskSnapshot[],
  until: number,
  now: number,
): Promise<void> {
  // A newer one may be gone since the look that claimed them.
  const old = await superseded(ctx, disk);
  const going = claimed.filter((one) => old.has(one));
  const tried = await Promise.all(going.map((one) => removeSnapshot(ctx, disk, one, now)));
  const left = new Map(going.map(({ id }, index) => [id, tried[index]]));
  const isMine = ({ id, removingUntil }: DiskSnapshot) => removingUntil === until && left.has(id);
  await changeRecord(ctx, {
    read: () => findDisk(ctx, disk.owner, disk.uid),
    decide(read) {
      if (!read?.snapshots.some(isMine)) return undefined;
      const snapshots = read.snapshots.map((one) => (isMine(one) ? left.get(one.id) : one));
      return { ...read, snapshots: snapshots.filter((one) => one !== undefined) };
    },
    what: "The disk is",
  });
}

/** When a claim that was not used is to be taken back; null: there is none. */
export function unclaimAt({ snapshots }: Disk): number | null {
  const claims = snapshots.flatMap(({ removingUntil, unremoved }) => (unremoved ? [] : (removingUntil ?? [])));
  return claims.length > 0 ? Math.min(...claims) : null;
}

/** Somebody who wrote its claim may remove it before that is over. */
function kept(one: DiskSnapshot, now: number): DiskSnapshot {
  if (!one.completed) return one;
  const { removingUntil = now } = one;
  return { ...one, unremoved: undefined, removingUntil: now < removingUntil ? removingUntil : undefined };
}

/** Backups and snapshots on demand do not push each other out. */
async function superseded(ctx: WorkerContext, disk: Disk): Promise<ReadonlySet<DiskSnapshot>> {
  const completed = disk.snapshots.filter((snapshot) => snapshot.completed);
  const backups = completed.filter(({ onDemand }) => !onDemand);
  const onDemand = completed.filter((snapshot) => snapshot.onDemand);
  const old = [findOld(ctx, disk, backups, KEPT_SNAPSHOTS), findOld(ctx, disk, onDemand, KEPT_ON_DEMAND)];
  return new Set((await Promise.all(old)).flat());
}

/** Returns which of these snapshots are older than those that are kept. */
async function findOld(
  ctx: WorkerContext,
  disk: Disk,
  completed: readonly DiskSnapshot[],
  kept: number,
): Promise<readonly DiskSnapshot[]> {
  if (completed.length <= kept) return [];
  const found = await Promise.all(
    completed.map(async (one) => ((await ctx.volumes.findSnapshot(one.id)) ? [one] : [])),
  );
  const there = found.flat();
  const oldestKept = there.at(-kept);
  if (!oldestKept) return [];
  const sources = sourcesOf(disk);
  // One that is claimed may have been removed by somebody who died before it was written.
  const isLeft = (one: DiskSnapshot) =>
    there.includes(one) || one.unremoved !== undefined || one.removingUntil !== undefined;
  return completed
    .slice(0, completed.indexOf(oldestKept))
    .filter(({ id }) => !sources.has(id))
    .filter(isLeft);
}
