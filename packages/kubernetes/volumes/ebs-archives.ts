import type { ArchiveOwner, Volume, VolumeRef } from "#core/ports/volumes.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { toArchiveRun } from "./archive-job.ts";
import { type ArchiveOptions, type Archives, kubernetesArchives } from "./archives.ts";
import { type EbsMountOwner, makeEbsMounts, removeEbsMounts } from "./ebs-mounts.ts";

export interface EbsArchiveOptions extends Pick<ArchiveOptions, "image" | "blobs" | "machineOf"> {
  findVolume(id: string): Promise<Volume | undefined>;
}

/** Makes zips of EBS volumes, which are mountable from before their Job until the archive ends. */
export function ebsArchives(place: ClusterContext, { findVolume, ...options }: EbsArchiveOptions): Archives {
  return kubernetesArchives(place, {
    ...options,
    async claimOf(id, owner) {
      const volume = await findVolume(id);
      if (!volume) throw new Error("That volume does not exist");
      await makeEbsMounts(place, mounting(volume, owner), place.client.deadline());
      return id;
    },
    async release(owner) {
      await removeEbsMounts(place, toArchiveRun(owner));
    },
  });
}

function mounting(volume: VolumeRef, owner: ArchiveOwner): EbsMountOwner {
  return { ...toArchiveRun(owner), name: "archive", pool: "", mounts: [{ volume, path: "/workspace" }] };
}
