import type { Blobs } from "../ports/blobs.ts";
import type { Volumes } from "../ports/volumes.ts";
import { listingBlob } from "./backups/content.ts";

/** Names the blob in which a run that ends leaves the list of a volume's files: UTF-8 text, its first line the run. */
export function listedOf(volume: string): string {
  return `listings/${volume}`;
}

/**
 * Volumes of which runs leave lists of their files in Blobs: the backup after a run gets that run's list, and a list goes
 * with what it is of. `nameOf` says under which name runs know a volume; undefined: none can have it.
 */
export function withListings(
  volumes: Volumes,
  blobs: Blobs,
  nameOf: (volumeId: string) => string | undefined = (id) => id,
): Volumes {
  return {
    ...volumes,
    async createSnapshot(volumeId, tags) {
      const made = await volumes.createSnapshot(volumeId, tags);
      const volume = nameOf(volumeId);
      // A backup without the list is a backup all the same.
      if (volume !== undefined) await passListing(blobs, volume, made.id, tags.attempt).catch(() => undefined);
      return made;
    },
    async removeSnapshot(id) {
      await volumes.removeSnapshot(id);
      await blobs.remove(listingBlob(id));
    },
    async removeVolume(id) {
      await volumes.removeVolume(id);
      const volume = nameOf(id);
      if (volume !== undefined) await blobs.remove(listedOf(volume));
    },
  };
}

/**
 * Gives a snapshot the list that its run left, if it did: `attempt` names the run
 * (docs/architecture/consistency.md#claims).
 */
async function passListing(blobs: Blobs, volume: string, snapshot: string, attempt: string): Promise<void> {
  const bytes = await blobs.get(listedOf(volume));
  const text = bytes ? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes) : "";
  const from = text.indexOf("\n") + 1;
  if (from === 0 || !attempt.startsWith(`${text.slice(0, from - 1)}-`)) return;
  await blobs.put(listingBlob(snapshot), new TextEncoder().encode(text.slice(from)));
}
