import { createHash } from "node:crypto";
import type { OwnedVolume, Volume, VolumePage, VolumeRef, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { ApiRefused } from "../client/api-error.ts";
import { pollUntil, usuallyGoneMs } from "../client/poll-until.ts";
import { parseQuantity } from "../client/quantities.ts";
import { annotation, deploymentLabels, label, mountLabel, parseClaimId } from "../names.ts";
import type { Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { asSentence, refusalIn } from "../status/refusal.ts";
import { isAttached } from "./attachments.ts";
import { type Claim, claimAnnotation, claimPath, getVolumeId, getZone, readClaim, readVolume } from "./claim.ts";
import { releaseVolume, removeRetained } from "./retained-volume.ts";
import { findReadyName } from "./snapshots.ts";
import { checkStorageClass, type StorageClass } from "./volume-classes.ts";

export type Claims = Pick<Volumes, "createVolume" | "listVolumes" | "listOwned" | "removeVolume">;

type Wanted = Parameters<Volumes["createVolume"]>[0];

const snapshotGroup = "snapshot.storage.k8s.io";

export interface ClaimOptions {
  readonly storageClass?: StorageClass | undefined;
  /** Time to wait for a claim of this name to be removed, ms. Default: two seconds. */
  readonly goneWithinMs?: number | undefined;
}

export function kubernetesClaims(place: ClusterContext, options: ClaimOptions = {}): Claims {
  const { storageClass = "berth-gp3", goneWithinMs = usuallyGoneMs } = options;
  return {
    createVolume: (wanted) => createClaim({ ...place, storageClass, goneWithinMs }, wanted),
    async listVolumes(token) {
      const claim = await findFor(place, { token });
      const found = claim && (await toVolume(place, claim));
      return found ? [found] : [];
    },
    listOwned: () => listOwned(place),
    removeVolume: (id) => removeClaim(place, id),
  };
}

interface ClassedPlace extends ClusterContext {
  readonly storageClass: StorageClass;
  readonly goneWithinMs: number;
}

/**
 * Creates a claim named after the token, so that a second one is refused. Its volume is created in the zone of its
 * first pod (docs/architecture/admission.md).
 */
async function createClaim(place: ClassedPlace, wanted: Wanted): Promise<VolumeRef> {
  await checkStorageClass(place, place.storageClass);
  const deadline = place.client.deadline();
  const { snapshotId } = wanted;
  const source = snapshotId === undefined ? undefined : await findReadyName(place, snapshotId);
  const isGone = snapshotId !== undefined && source === undefined;
  const claim = await pollUntil(place.goneWithinMs, async () => {
    const found = await (isGone ? findFor(place, wanted, deadline) : makeOrFind(place, { wanted, source }, deadline));
    if (isGone && !found) throw new Error(`There is no completed snapshot ${snapshotId}`);
    return found?.metadata.deletionTimestamp === undefined ? found : undefined;
  });
  if (!claim) throw new Error("A volume of that token is still being removed");
  return toRef(requireSame(claim, wanted));
}

interface Making {
  readonly wanted: Wanted;
  readonly source: string | undefined;
}

async function makeOrFind(place: ClassedPlace, making: Making, deadline: AbortSignal): Promise<Claim | undefined> {
  const { client, paths } = place;
  try {
    return await client.create<Claim>(paths.claims, claimObject(making, place), deadline);
  } catch (error) {
    if (!(error instanceof ApiRefused)) throw error;
    if (error.code === "AlreadyExists") return findFor(place, making.wanted, deadline);
    const refusal = refusalIn(error.said);
    throw refusal ? new VolumeRefused(asSentence(refusal.words)) : error;
  }
}

/** Lists the volumes with their owners. A claim that was created again has no owner. */
async function listOwned({ client, paths, deployment }: ClusterContext): Promise<VolumePage> {
  const selector = encodeURIComponent(`${label.deployment}=${deployment}`);
  const { items } = await client.list<Claim, OwnedVolume>(
    `${paths.claims}?labelSelector=${selector}`,
    (claim) => {
      const { annotations = {}, deletionTimestamp } = claim.metadata;
      // A claim of an EBS volume belongs to a run and goes with it.
      if (!parseClaimId(getVolumeId(claim))) return [];
      const key = annotations[annotation.key] ?? null;
      const isOld = key === null && annotations[claimAnnotation.volume] !== undefined;
      return isOld || deletionTimestamp !== undefined ? [] : [{ id: getVolumeId(claim), key }];
    },
    { part: "metadata" },
  );
  return { volumes: items };
}

function findFor(
  place: ClusterContext,
  { token }: Pick<Wanted, "token">,
  deadline?: AbortSignal,
): Promise<Claim | undefined> {
  return place.client.find<Claim>(claimPath(place, { name: nameOfToken(token) }), deadline);
}

function claimObject({ wanted, source }: Making, { deployment, storageClass }: ClassedPlace): object {
  const { token, sizeGb, zone, snapshotId, key } = wanted;
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: nameOfToken(token),
      labels: deploymentLabels(deployment),
      annotations: {
        [claimAnnotation.zone]: zone,
        [claimAnnotation.token]: token,
        ...(snapshotId === undefined ? {} : { [claimAnnotation.snapshot]: snapshotId }),
        ...(key === undefined ? {} : { [annotation.key]: key }),
      },
    },
    spec: {
      ...(storageClass === null ? {} : { storageClassName: storageClass }),
      // Two pods that write to one volume would destroy it.
      accessModes: ["ReadWriteOncePod"],
      resources: { requests: { storage: `${sizeGb}Gi` } },
      ...(source === undefined
        ? {}
        : { dataSource: { apiGroup: snapshotGroup, kind: "VolumeSnapshot", name: source } }),
    },
  };
}

/** Returns the name for a token. The hash makes any token a valid name. */
function nameOfToken(token: string): string {
  return `volume-${createHash("sha256").update(token).digest("hex").slice(0, 40)}`;
}

function requireSame(claim: Claim, { sizeGb, zone, snapshotId }: Wanted): Claim {
  const gb = parseQuantity(claim.spec.resources?.requests?.storage) / 2 ** 30;
  const source = claim.metadata.annotations?.[claimAnnotation.snapshot];
  if (gb === sizeGb && getZone(claim) === zone && source === snapshotId) return claim;
  throw new Error("That token was used for a volume of another size or zone, or of another snapshot");
}

/** Returns the volume of a claim. A claim being removed is gone once unused, and one without its volume at once. */
export async function toVolume(place: ClusterContext, claim: Claim): Promise<Volume | undefined> {
  const volume = await readVolume(place, claim);
  if (!volume && claim.spec.volumeName) return undefined;
  const attached = (await isMounted(place, claim)) || (volume !== undefined && (await isAttached(place, volume)));
  if (claim.metadata.deletionTimestamp !== undefined && !attached) return undefined;
  return { ...toRef(claim), attached };
}

async function isMounted({ client, paths }: ClusterContext, { metadata }: Claim): Promise<boolean> {
  const path = `${paths.pods}?labelSelector=${encodeURIComponent(mountLabel(metadata))}`;
  const { items } = await client.list<Pod, Pod>(path, (pod) => (isOver(pod) ? [] : [pod]));
  return items.length > 0;
}

function isOver({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Removes a claim with its volume, which a deletion of the claim alone would keep. */
async function removeClaim(place: ClusterContext, id: string): Promise<void> {
  const claim = await readClaim(place, id);
  if (!claim) return removeRetained(place, id);
  await releaseVolume(place, claim);
  await place.client.remove(claimPath(place, claim.metadata), { uid: claim.metadata.uid });
}

function toRef(claim: Claim): VolumeRef {
  return { id: getVolumeId(claim), zone: getZone(claim) };
}
