import { withListings } from "#core/disks/listing.ts";
import type { Blobs } from "#core/ports/blobs.ts";
import type { Volume, Volumes } from "#core/ports/volumes.ts";
import { isForGood } from "./client/api-error.ts";
import { usuallyGoneMs } from "./client/poll-until.ts";
import { parseClaimId } from "./names.ts";
import { type ClusterContext, getSharedLists } from "./runs/read-run.ts";
import { type ArchiveOptions, type Archives, kubernetesArchives } from "./volumes/archives.ts";
import { detach } from "./volumes/attachments.ts";
import { type Claim, readClaim, readVolume } from "./volumes/claim.ts";
import { type ClaimOptions, kubernetesClaims, toVolume } from "./volumes/claims.ts";
import { recreateClaim, retainVolume } from "./volumes/retained-volume.ts";
import { kubernetesSnapshots, type SnapshotOptions } from "./volumes/snapshots.ts";
import { findSnapshotClass } from "./volumes/volume-classes.ts";

export interface KubernetesVolumesOptions extends SnapshotOptions, Pick<ClaimOptions, "storageClass"> {
  readonly blobs?: Blobs | undefined;
  readonly archives?: Omit<ArchiveOptions, "getClaimName">;
}

/** Returns disks as claims of a namespace, and their backups as VolumeSnapshots if the cluster supports them. */
export function kubernetesVolumes(place: ClusterContext, { blobs, ...options }: KubernetesVolumesOptions): Volumes {
  const volumes = unlistedVolumes({ ...place, lists: getSharedLists(place) }, options);
  return blobs ? withListings(volumes, blobs, (id) => parseClaimId(id)?.name) : volumes;
}

function unlistedVolumes(
  place: ClusterContext,
  { storageClass, archives, ...options }: Omit<KubernetesVolumesOptions, "blobs">,
): Volumes {
  const { goneWithinMs = usuallyGoneMs } = options;
  return {
    ...kubernetesClaims(place, { storageClass, goneWithinMs }),
    ...kubernetesSnapshots(place, options),
    // All answers come from etcd, so lists do not lag.
    listedWithinMs: 0,
    snapshotsInUse: true,
    async findVolume(id) {
      const found = await findClaimed(place, id, goneWithinMs);
      if (!found) return undefined;
      const { claim, volume } = found;
      await retainVolume(place, claim);
      if (volume.attached) return volume;
      const noBackup = await whyNoBackup(place, claim);
      return noBackup === undefined ? volume : { ...volume, noBackup };
    },
    detachVolume: (id, machine) => detach(place, id, machine),
    ...(archives
      ? kubernetesArchives(place, { ...archives, getClaimName: (id) => getClaimName(place, id, goneWithinMs) })
      : noArchives),
  };
}

/** Used if archives are disabled. */
const noArchives: Archives = {
  startArchive: async () => undefined,
  findArchive: async () => ({ state: "failed", bytes: 0 }),
  endArchive: async () => undefined,
};

async function getClaimName(place: ClusterContext, id: string, goneWithinMs: number): Promise<string> {
  const found = await findClaimed(place, id, goneWithinMs);
  if (!found) throw new Error("That is not a volume of this cluster");
  return found.claim.metadata.name;
}

/** Returns the claim of a volume. If the claim was deleted by hand, it is created again. */
async function findClaimed(
  place: ClusterContext,
  id: string,
  goneWithinMs: number,
): Promise<{ claim: Claim; volume: Volume } | undefined> {
  const storedClaim = await readClaim(place, id);
  const seen = storedClaim && (await toVolume(place, storedClaim));
  if (storedClaim && seen) return { claim: storedClaim, volume: seen };
  const claim = await recreateClaim(place, id, goneWithinMs);
  const volume = claim && (await toVolume(place, claim));
  return claim && volume ? { claim, volume } : undefined;
}

/** Returns why there is no backup. A claim has no volume before its first pod, so nothing was written to it. */
async function whyNoBackup(place: ClusterContext, claim: Claim): Promise<Volume["noBackup"]> {
  const volume = await readVolume(place, claim);
  if (!volume) return "unneeded";
  try {
    const { csi } = volume.spec;
    return csi && (await findSnapshotClass(place.client, csi.driver)) ? undefined : "impossible";
  } catch (error) {
    // The snapshot call reports the reason.
    if (isForGood(error)) return undefined;
    throw error;
  }
}
