import type { Blobs } from "#core/ports/blobs.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Archive, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { requireBlobName } from "#core/store/blob-name.ts";

export interface MemoryArchives extends Pick<Volumes, "startArchive" | "findArchive" | "endArchive"> {
  /** Makes the next `count` archives fail. */
  failArchives(count: number): void;
  /** Reports whether an archive is reading this volume. */
  isReading(volume: string): boolean;
  /** Fails unfinished archives of a removed volume. */
  volumeRemoved(id: string): void;
}

/** Empty zip (APPNOTE 4.3.16). */
const emptyZip = Uint8Array.from([0x50, 0x4b, 5, 6, ...new Uint8Array(18)]);

/** Returns the part of the memory volumes that archives them. */
export function memoryArchives(options: {
  readonly clock: Pick<Clock, "now">;
  readonly archiveMs: number;
  readonly blobs: Pick<Blobs, "put"> | undefined;
  readonly exists: (volume: string) => boolean;
  readonly archived: (volume: string) => void;
}): MemoryArchives {
  const { clock, archiveMs, blobs, exists, archived } = options;
  const archives = new Map<string, { readonly volume: string; completesAt: number; state: Archive["state"] }>();
  let failures = 0;
  const isUnderWay = ({ state, completesAt }: { readonly state: Archive["state"]; readonly completesAt: number }) =>
    state === "pending" && clock.now() < completesAt;
  return {
    async startArchive(volume, blob) {
      requireBlobName(blob);
      if (!exists(volume)) throw new VolumeRefused("The volume does not exist");
      if (archives.has(blob)) return;
      const state = failures > 0 ? "failed" : "pending";
      failures = Math.max(0, failures - 1);
      archives.set(blob, { volume, completesAt: clock.now() + archiveMs, state });
    },
    async findArchive(blob) {
      const archive = archives.get(blob);
      if (archive?.state === "pending" && clock.now() >= archive.completesAt) {
        archive.state = "completed";
        archived(archive.volume);
        await blobs?.put(blob, emptyZip);
      }
      return archive && { state: archive.state, bytes: archive.state === "completed" ? emptyZip.length : 0 };
    },
    async endArchive(blob) {
      const archive = archives.get(blob);
      if (archive && (archive.state === "failed" || isUnderWay(archive))) archives.delete(blob);
      return undefined;
    },
    failArchives(count) {
      failures = count;
    },
    isReading: (id) => [...archives.values()].some((archive) => archive.volume === id && isUnderWay(archive)),
    volumeRemoved(id) {
      for (const archive of archives.values()) {
        if (archive.volume === id && isUnderWay(archive)) archive.state = "failed";
      }
    },
  };
}
