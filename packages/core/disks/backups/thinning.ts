import { CLAIM_MS } from "../../reconciler/snapshot-claim.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import { changeRecord } from "../../store/write-record.ts";
import { type Disk, type DiskSnapshot, findDisk } from "../record.ts";
import { isPutOff, listSources, removeSnapshot, withoutOldest } from "../removal.ts";

const KEPT_SNAPSHOTS = 3;
export const KEPT_ON_DEMAND = 5;

interface Thinned {
  readonly disk: Disk;
  readonly after?: (ctx: WorkerContext) => Promise<void>;
}

/**
 * Keeps the newest three backups, five on-demand snapshots, and all sources of restores. Claims the others in the
 * record before removing them, so the record decides between removal and restore
 * (docs/architecture/consistency.md#claims).
 */
export async function thinOut(ctx: WorkerContext, disk: Disk, now: number): Promise<Thinned> {
  const old = await superseded(ctx, disk);
  const until = now + CLAIM_MS;
  const going = new Set([...old].filter((snapshot) => !isPutOff(snapshot, now)).map(({ id }) => id));
  const snapshots = disk.snapshots.map((snapshot) => {
    if (going.has(snapshot.id)) return { ...snapshot, removingUntil: until };
    return old.has(snapshot) ? snapshot : kept(snapshot, now);
  });
  // Select by id, not by time: a snapshot refused at the same time has the same `removingUntil`.
  const claimed = snapshots.filter(({ id }) => going.has(id));
  const thinned = { ...disk, snapshots: withoutOldest(ctx, disk, snapshots) };
  if (claimed.length === 0) return { disk: thinned };
  return { disk: thinned, after: (guarded) => removeClaimed(guarded, thinned, claimed, until, now) };
}

/** Removes claimed snapshots. If the worker dies, the next reconcile claims and removes them again. */
async function removeClaimed(
  ctx: WorkerContext,
  disk: Disk,
  claimed: readonly DiskSnapshot[],
  until: number,
  now: number,
): Promise<void> {
  // A newer snapshot may have disappeared since the claim.
  const old = await superseded(ctx, disk);
  const going = claimed.filter((snapshot) => old.has(snapshot));
  const tried = await Promise.all(going.map((snapshot) => removeSnapshot(ctx, disk, snapshot, now)));
  const left = new Map(going.map(({ id }, index) => [id, tried[index]]));
  const isMine = ({ id, removingUntil }: DiskSnapshot) => removingUntil === until && left.has(id);
  await changeRecord(ctx, {
    read: () => findDisk(ctx, disk.owner, disk.uid),
    decide(disk) {
      if (!disk?.snapshots.some(isMine)) return undefined;
      const snapshots = disk.snapshots.map((snapshot) => (isMine(snapshot) ? left.get(snapshot.id) : snapshot));
      return { ...disk, snapshots: snapshots.filter((snapshot) => snapshot !== undefined) };
    },
    what: "The disk is",
  });
}

export function unclaimAt({ snapshots }: Disk): number | null {
  const claims = snapshots.flatMap(({ removingUntil, unremoved }) => (unremoved ? [] : (removingUntil ?? [])));
  return claims.length > 0 ? Math.min(...claims) : null;
}

/** Keeps a snapshot. Its claim stays until it expires, because its worker may still remove the snapshot. */
function kept(snapshot: DiskSnapshot, now: number): DiskSnapshot {
  if (!snapshot.completed) return snapshot;
  const { removingUntil = now } = snapshot;
  return { ...snapshot, unremoved: undefined, removingUntil: now < removingUntil ? removingUntil : undefined };
}

async function superseded(ctx: WorkerContext, disk: Disk): Promise<ReadonlySet<DiskSnapshot>> {
  const completed = disk.snapshots.filter((snapshot) => snapshot.completed);
  const backups = completed.filter(({ onDemand }) => !onDemand);
  const onDemand = completed.filter((snapshot) => snapshot.onDemand);
  const old = [findOld(ctx, disk, backups, KEPT_SNAPSHOTS), findOld(ctx, disk, onDemand, KEPT_ON_DEMAND)];
  return new Set((await Promise.all(old)).flat());
}

async function findOld(
  ctx: WorkerContext,
  disk: Disk,
  completed: readonly DiskSnapshot[],
  kept: number,
): Promise<readonly DiskSnapshot[]> {
  if (completed.length <= kept) return [];
  const found = await Promise.all(
    completed.map(async (snapshot) => ((await ctx.volumes.findSnapshot(snapshot.id)) ? [snapshot] : [])),
  );
  const there = found.flat();
  const oldestKept = there.at(-kept);
  if (!oldestKept) return [];
  const sources = listSources(disk);
  // A claimed snapshot may already be removed, if the worker died before recording that.
  const isLeft = (snapshot: DiskSnapshot) =>
    there.includes(snapshot) || snapshot.unremoved !== undefined || snapshot.removingUntil !== undefined;
  return completed
    .slice(0, completed.indexOf(oldestKept))
    .filter(({ id }) => !sources.has(id))
    .filter(isLeft);
}
