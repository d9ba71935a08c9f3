import { randomBytes } from "node:crypto";
import type { VolumeSnapshot, Volumes } from "#core/context.ts";
import { VolumeRefused } from "#core/problem.ts";
import type { Claims } from "#kubernetes/claims.ts";

/**
 * Disks of a cluster that has no backups for Berth. Each backup fails at once, in place of being refused: what is
 * refused is tried again for hours, and keeps the disk from its owner. The volume itself is kept.
 */
export function clusterVolumes(claims: Claims, now: () => number): Volumes {
  const failed = new Map<string, VolumeSnapshot[]>();
  return {
    ...claims,
    listedWithinMs: 0,
    // Where a node is lost its cluster takes the volume off it.
    detachVolume: async () => undefined,
    async createSnapshot(volumeId, tags) {
      const id = `failed-${randomBytes(8).toString("hex")}`;
      const snapshot: VolumeSnapshot = { id, at: now(), state: "failed", tags: { ...tags } };
      failed.set(volumeId, [...(failed.get(volumeId) ?? []), snapshot].slice(-mostKept));
      return snapshot;
    },
    listSnapshots: async (volumeId) => failed.get(volumeId) ?? [],
    findSnapshot: async (id) => [...failed.values()].flat().find((one) => one.id === id),
    removeSnapshot: async (id) => {
      for (const [volume, snapshots] of failed) {
        const left = snapshots.filter((one) => one.id !== id);
        if (left.length > 0) failed.set(volume, left);
        else failed.delete(volume);
      }
    },
    async removeVolume(id) {
      await claims.removeVolume(id);
      failed.delete(id);
    },
    tagSnapshot: async () => {
      throw new VolumeRefused("The snapshot does not exist");
    },
    startArchive: async () => undefined,
    findArchive: async () => ({ state: "failed", bytes: 0 }),
  };
}

/** Of one volume: those of the last end are looked for, and of the one before. */
const mostKept = 10;
