import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Volume, VolumeRef, Volumes } from "#core/context.ts";
import { ApiRefused } from "./api-error.ts";
import { type ClaimId, claimOf, deploymentLabels, mountLabel, volumeId } from "./names.ts";
import type { KubeObject, Node, Pod } from "./objects.ts";
import { amountOf } from "./quantities.ts";
import type { Place } from "./read-run.ts";

/** Volumes as claims of a namespace. Their snapshots are made elsewhere. */
export type Claims = Pick<Volumes, "createVolume" | "findVolume" | "listVolumes" | "removeVolume">;

type Wanted = Parameters<Volumes["createVolume"]>[0];

interface Claim extends KubeObject {
  readonly spec: {
    readonly volumeName?: string;
    readonly resources?: { readonly requests?: { readonly storage?: string } };
  };
}

/** Of deploy/kubernetes/storage-class.yaml; `null`: the default class of the cluster. */
export type StorageClass = "berth-gp3" | null;

const zoneAnnotation = "berth/zone";
const tokenAnnotation = "berth/token";
/** A claim whose name is still being removed is gone within a tenth of this, unless a pod has it. */
const goneWithinMs = 2_000;
const lookEveryMs = 50;

export function kubernetesClaims(place: Place, storageClass: StorageClass = "berth-gp3"): Claims {
  return {
    createVolume: (wanted) => createClaim({ ...place, storageClass }, wanted),
    findVolume: async (id) => findClaimed(place, claimOf(id)),
    async listVolumes(token) {
      const claim = await place.client.find<Claim>(claimPath(place, { name: nameOfToken(token) }));
      const found = claim && (await volumeOf(place, claim));
      return found ? [found] : [];
    },
    removeVolume: async (id) => removeClaim(place, claimOf(id)),
  };
}

interface ClassedPlace extends Place {
  readonly storageClass: StorageClass;
}

/**
 * Its name comes from the token, so that the API server itself refuses a second one. The volume is made in the zone of
 * the first pod that wants it, where the plan puts it (docs/architecture.md#admission).
 */
async function createClaim(place: ClassedPlace, wanted: Wanted): Promise<VolumeRef> {
  if (wanted.snapshotId !== undefined) throw new Error("A volume of a cluster is not restored from a snapshot");
  const deadline = place.client.deadline();
  const endsAt = performance.now() + goneWithinMs;
  for (;;) {
    const claim = await makeOrFind(place, wanted, deadline);
    if (claim && claim.metadata.deletionTimestamp === undefined) return refOf(requireSame(claim, wanted));
    if (performance.now() > endsAt) throw new Error("A volume of that token is still being removed");
    await sleep(lookEveryMs);
  }
}

async function makeOrFind(place: ClassedPlace, wanted: Wanted, deadline: AbortSignal): Promise<Claim | undefined> {
  const { client, paths } = place;
  try {
    return await client.create<Claim>(paths.claims, claimObject(wanted, place), deadline);
  } catch (error) {
    if (!(error instanceof ApiRefused) || error.code !== "AlreadyExists") throw error;
    return client.find<Claim>(claimPath(place, { name: nameOfToken(wanted.token) }), deadline);
  }
}

function claimObject({ token, sizeGb, zone }: Wanted, { deployment, storageClass }: ClassedPlace): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name: nameOfToken(token),
      labels: deploymentLabels(deployment),
      annotations: { [zoneAnnotation]: zone, [tokenAnnotation]: token },
    },
    spec: {
      ...(storageClass === null ? {} : { storageClassName: storageClass }),
      // Two pods that write to one volume would destroy it.
      accessModes: ["ReadWriteOncePod"],
      resources: { requests: { storage: `${sizeGb}Gi` } },
    },
  };
}

/** Whatever a token is: it reaches names as its hash. */
function nameOfToken(token: string): string {
  return `volume-${createHash("sha256").update(token).digest("hex").slice(0, 40)}`;
}

function requireSame(claim: Claim, { sizeGb, zone }: Wanted): Claim {
  const gb = amountOf(claim.spec.resources?.requests?.storage) / 2 ** 30;
  if (gb === sizeGb && zoneOf(claim) === zone) return claim;
  throw new Error("That token was used for a volume of another size or zone");
}

async function findClaimed(place: Place, id: ClaimId | undefined): Promise<Volume | undefined> {
  const claim = id && (await place.client.find<Claim>(claimPath(place, id)));
  return claim && claim.metadata.uid === id.uid ? volumeOf(place, claim) : undefined;
}

/** A claim that is being removed is gone once nobody has it. */
async function volumeOf(place: Place, claim: Claim): Promise<Volume | undefined> {
  const attached = (await isMounted(place, claim.metadata)) || (await isOnNode(place, claim));
  if (claim.metadata.deletionTimestamp !== undefined && !attached) return undefined;
  return { ...refOf(claim), attached };
}

async function isMounted({ client, paths }: Place, claim: Pick<ClaimId, "name">): Promise<boolean> {
  const path = `${paths.pods}?labelSelector=${encodeURIComponent(mountLabel(claim))}`;
  const { items } = await client.list<Pod, Pod>(path, (pod) => (isOver(pod) ? [] : [pod]));
  return items.length > 0;
}

/**
 * After its pod is over, or its pod's object gone, a volume stays on the node until the kubelet has written and unmounted
 * it and the cluster has taken it off: until then a snapshot may lack the last of what was written.
 */
async function isOnNode({ client }: Place, { spec: { volumeName } }: Claim): Promise<boolean> {
  const volume = volumeName && (await client.find<PersistentVolume>(volumePath(volumeName)));
  const { csi } = volume ? volume.spec : {};
  if (!csi) return false;
  // As the kubelet and the attach/detach controller name it (Kubernetes, NodeStatus of the API reference).
  const name = `kubernetes.io/csi/${csi.driver}^${csi.volumeHandle}`;
  const { items } = await client.list<Node, true>("/api/v1/nodes", ({ status = {} }) => {
    const { volumesInUse = [], volumesAttached = [] } = status;
    return volumesInUse.includes(name) || volumesAttached.some((one) => one.name === name) ? [true] : [];
  });
  return items.length > 0;
}

function isOver({ status }: Pod): boolean {
  return status?.phase === "Succeeded" || status?.phase === "Failed";
}

/** Its volume goes too, which the storage class keeps from going with a claim that somebody deletes by hand. */
async function removeClaim(place: Place, id: ClaimId | undefined): Promise<void> {
  const claim = id && (await place.client.find<Claim>(claimPath(place, id)));
  if (!claim || claim.metadata.uid !== id.uid) return;
  const { volumeName } = claim.spec;
  if (volumeName !== undefined) await letGo(place, volumeName, id);
  await place.client.remove(claimPath(place, id), { uid: id.uid });
}

interface PersistentVolume extends KubeObject {
  readonly spec: {
    readonly claimRef?: { readonly uid?: string };
    readonly csi?: { readonly driver: string; readonly volumeHandle: string };
  };
}

/** Only the volume of this very claim. */
async function letGo({ client }: Place, name: string, claim: ClaimId): Promise<void> {
  const path = volumePath(name);
  const volume = await client.find<PersistentVolume>(path);
  if (volume?.spec.claimRef?.uid !== claim.uid) return;
  const { uid } = volume.metadata;
  await client.patch(path, { metadata: { uid }, spec: { persistentVolumeReclaimPolicy: "Delete" } });
}

function volumePath(name: string): string {
  return `/api/v1/persistentvolumes/${encodeURIComponent(name)}`;
}

function claimPath({ paths }: Place, { name }: Pick<ClaimId, "name">): string {
  return `${paths.claims}/${name}`;
}

function refOf(claim: Claim): VolumeRef {
  return { id: volumeId(claim.metadata), zone: zoneOf(claim) };
}

function zoneOf({ metadata }: Claim): string {
  return metadata.annotations?.[zoneAnnotation] ?? "";
}
