import type { Blobs } from "../ports/blobs.ts";
import type { Volumes } from "../ports/volumes.ts";
import { listingBlob } from "./backups/content.ts";

/** Returns the blob of an ending run's file list: UTF-8 text, with the run in the first line. */
export function listingBlobName(volume: string): string {
  return `listings/${volume}`;
}

/**
 * Adds file lists to Volumes: a backup gets its run's list. `findName` returns the name by which runs know a volume.
 */
export function withListings(
  volumes: Volumes,
  blobs: Blobs,
  findName: (volumeId: string) => string | undefined = (id) => id,
): Volumes {
  return {
    ...volumes,
    async createSnapshot(volumeId, tags) {
      const made = await volumes.createSnapshot(volumeId, tags);
      const volume = findName(volumeId);
      if (volume !== undefined) await passListing(blobs, volume, made.id, tags.attempt).catch(() => undefined);
      return made;
    },
    async removeSnapshot(id) {
      await volumes.removeSnapshot(id);
      await blobs.remove(listingBlob(id));
    },
    async removeVolume(id) {
      await volumes.removeVolume(id);
      const volume = findName(id);
      if (volume !== undefined) await blobs.remove(listingBlobName(volume));
    },
  };
}

/** Copies the list if the same run left it: `attempt` names the run. */
async function passListing(blobs: Blobs, volume: string, snapshot: string, attempt: string): Promise<void> {
  const bytes = await blobs.get(listingBlobName(volume));
  const text = bytes ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : "";
  const from = text.indexOf("\n") + 1;
  if (from === 0 || !attempt.startsWith(`${text.slice(0, from - 1)}-`)) return;
  await blobs.put(listingBlob(snapshot), new TextEncoder().encode(text.slice(from)));
}
