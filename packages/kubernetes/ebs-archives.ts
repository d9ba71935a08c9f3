import { createHash } from "node:crypto";
import type { Volume, VolumeRef } from "#core/ports/volumes.ts";
import { type ArchiveOptions, type Archives, kubernetesArchives } from "./archives.ts";
import { type EbsMountOwner, makeEbsMounts, removeEbsMounts } from "./ebs-mounts.ts";
import type { Place } from "./read-run.ts";

export interface EbsArchiveOptions extends Pick<ArchiveOptions, "image" | "blobs"> {
  /** What EC2 says of a volume; undefined: there is none. */
  findVolume(id: string): Promise<Volume | undefined>;
}

/**
 * Zips of volumes of EBS: each gets what lets a pod mount it from before its Job is made until that is seen to have
 * ended: it goes with the Job's pod. What nobody saw end is taken away with what runs have left.
 */
export function ebsArchives(place: Place, { image, blobs, findVolume }: EbsArchiveOptions): Archives {
  return kubernetesArchives(place, {
    image,
    blobs,
    async claimOf(id) {
      const volume = await findVolume(id);
      if (!volume) throw new Error("That volume does not exist");
      await makeEbsMounts(place, ownerOf(volume), place.client.deadline());
      return id;
    },
    async release(id) {
      await removeEbsMounts(place, ownerOf({ id, zone: "" }));
    },
  });
}

/** Of no environment: a run of its own for each volume, which is never applied. */
function ownerOf(volume: VolumeRef): EbsMountOwner {
  const uid = createHash("sha256").update(`archive\n${volume.id}`).digest("hex").slice(0, 32);
  return { uid, run: 1, key: "", name: "archive", pool: "", mounts: [{ volume, path: "/workspace" }] };
}
