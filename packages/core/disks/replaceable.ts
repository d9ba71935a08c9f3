import type { Settings } from "../settings.ts";
import { type Disk, isPending } from "./record.ts";

/** Reports whether the operator lets snapshots take the place of volumes. */
export function replacesVolumes({
  diskVolumeIdleDays,
  orphansDryRun,
}: Pick<Settings, "diskVolumeIdleDays" | "orphansDryRun">): boolean {
  return diskVolumeIdleDays > 0 && !orphansDryRun;
}

/**
 * Reports whether a new volume would have everything that is on the present one. `holder` is the uid of the waiting
 * environment that has the disk and has not written to it, if there is one.
 */
export function isReplaceable(disk: Disk, holder?: string): boolean {
  const { phase, volume, volumeMissedAt, lostAt, lost, snapshotRequest, making, idleVolume } = disk;
  const isSettled = making.length === 0 && !lost && !snapshotRequest && idleVolume === undefined;
  const isSeen = volume !== null && volumeMissedAt === undefined && lostAt === undefined;
  if (phase !== "available" || !isSettled || !isSeen) return false;
  return hasWholeSnapshot(disk) || isBlank(disk, holder);
}

/** Reports whether the snapshot that the next volume would be made from has everything on the present one. */
function hasWholeSnapshot({ snapshots, savedIn }: Disk): boolean {
  const newest = snapshots.at(-1);
  if (snapshots.some(isPending) || !newest?.completed) return false;
  const isSeen = newest.missedAt === undefined && newest.removingUntil === undefined;
  return isSeen && snapshots.some(({ id }) => id === savedIn) && (newest.id === savedIn || newest.onDemand === true);
}

/** Reports whether the disk's first volume was made empty for its holder, which has not written to it. */
export function isBlank({ restored, snapshots, source }: Disk, holder: string | undefined): boolean {
  const isMadeForHolder = holder !== undefined && restored?.by === holder;
  return isMadeForHolder && restored.at === null && snapshots.length === 0 && source === undefined;
}
