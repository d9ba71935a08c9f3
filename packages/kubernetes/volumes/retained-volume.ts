import { alreadyExists, isAnother, isForGood, isNotFound } from "../client/api-error.ts";
import { pollUntil } from "../client/poll-until.ts";
import { type ClaimId, deploymentLabels, parseClaimId } from "../names.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import {
  type Claim,
  claimAnnotation,
  claimPath,
  getVolumeId,
  type PersistentVolume,
  readVolume,
  volumePath,
  volumesPath,
} from "./claim.ts";

/** Marks a volume whose removal has begun, so that it is neither kept nor claimed again. */
const removing = "berth/removing";
/** Id of a volume that is claimed again, from its first claim's uid. */
const volume = claimAnnotation.volume;
/** Label of a kept volume: the uid of its first claim. */
const firstClaim = "berth/claim";

/** Recreates the claim of a volume after a deletion by hand. Returns undefined if the volume is gone too. */
export async function recreateClaim(
  place: ClusterContext,
  id: string,
  goneWithinMs: number,
): Promise<Claim | undefined> {
  const named = parseClaimId(id);
  if (!named) return undefined;
  const found = await pollUntil(goneWithinMs, () => claimOrMake(place, named, id));
  if (found === undefined) throw new Error("The claim of that volume is being removed");
  return found ?? undefined;
}

/** Returns null if no claim can exist, and undefined while one is being removed or created. */
async function claimOrMake(place: ClusterContext, named: ClaimId, id: string): Promise<Claim | null | undefined> {
  const left = await leftVolume(place, id);
  if (!left) return null;
  const found = await place.client.find<Claim>(claimPath(place, named));
  if (found && getVolumeId(found) !== id) return null;
  if (found) return found.metadata.deletionTimestamp === undefined ? found : undefined;
  await reserve(place, left, named, id).then(() => makeClaim(place, left, named, id), unlessOvertaken);
  return undefined;
}

/** Marks the volume of exactly this claim for deletion. It would otherwise outlive the claim. */
export function releaseVolume(place: ClusterContext, claim: Claim): Promise<void> {
  const { uid } = claim.metadata;
  const read = async () => {
    const found = await readVolume(place, claim);
    const isIts =
      found?.spec.claimRef?.uid === uid || (found !== undefined && isReservedFor(found, getVolumeId(claim)));
    return isIts ? found : undefined;
  };
  return changeVolume(read, (found) => markRemoving(place, found, uid));
}

/** Reports whether the volume waits for a new claim, which it names without a uid. */
function isReservedFor({ metadata, spec }: PersistentVolume, id: string): boolean {
  return spec.claimRef?.uid === undefined && metadata.annotations?.[volume] === id;
}

/** Marks a volume without its claim for deletion. */
export async function removeRetained(place: ClusterContext, id: string): Promise<void> {
  const named = parseClaimId(id);
  if (!named) return;
  const read = () => leftVolume(place, id);
  await changeVolume(read, (found) => markRemoving(place, found, named.uid));
}

/**
 * Sets the reclaim policy `Delete`, which some volumes already have. The uid is needed: a volume that names a claim
 * without it waits for one and is never removed.
 */
async function markRemoving(
  { client }: ClusterContext,
  { metadata, spec }: PersistentVolume,
  ofClaim: string,
): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  const body = {
    metadata: { uid, resourceVersion, annotations: { [removing]: "yes" } },
    spec: { persistentVolumeReclaimPolicy: "Delete", claimRef: { uid: spec.claimRef?.uid ?? ofClaim } },
  };
  await client.patch(volumePath(name), body).catch((error: unknown) => {
    if (!isForGood(error) || spec.persistentVolumeReclaimPolicy !== "Delete") throw error;
  });
}

/** Makes a volume outlive its claim and labels it to be found, if the cluster allows that. */
export async function retainVolume(place: ClusterContext, claim: Claim): Promise<void> {
  const ofClaim = parseClaimId(getVolumeId(claim))?.uid;
  if (ofClaim === undefined) return;
  const read = async () => {
    const found = await readVolume(place, claim);
    return found && !isRemoving(found) && !isKept(found, ofClaim) ? found : undefined;
  };
  await changeVolume(read, (found) => keep(place, found, ofClaim));
}

function isKept({ metadata, spec }: PersistentVolume, ofClaim: string): boolean {
  const isFound = metadata.name === formatProvisionedName(ofClaim) || metadata.labels?.[firstClaim] === ofClaim;
  return isFound && spec.persistentVolumeReclaimPolicy !== "Delete";
}

async function keep({ client }: ClusterContext, { metadata }: PersistentVolume, ofClaim: string): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  const body = {
    metadata: { uid, resourceVersion, labels: { [firstClaim]: ofClaim } },
    spec: { persistentVolumeReclaimPolicy: "Retain" },
  };
  await client.patch(volumePath(name), body).catch((error: unknown) => {
    if (!isForGood(error)) throw error;
  });
}

/** The cluster itself writes to a volume two or three times as it binds it. */
const mostTries = 5;

/** Changes a volume in the version that was read, so that a begun removal is not undone, with retries on conflicts. */
async function changeVolume(
  read: () => Promise<PersistentVolume | undefined>,
  change: (found: PersistentVolume) => Promise<void>,
): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    const found = await read();
    if (!found) return;
    try {
      return await change(found);
    } catch (error) {
      unlessOvertaken(error);
      if (tries === mostTries) throw error;
    }
  }
}

function isRemoving({ metadata }: PersistentVolume): boolean {
  return metadata.annotations?.[removing] !== undefined || metadata.deletionTimestamp !== undefined;
}

/** Returns the volume of a deleted claim, by its usual name or its label. Only the volume knows its claim. */
async function leftVolume({ client }: ClusterContext, id: string): Promise<PersistentVolume | undefined> {
  const uid = parseClaimId(id)?.uid;
  if (uid === undefined) return undefined;
  const isIts = ({ metadata, spec }: PersistentVolume) =>
    spec.claimRef?.uid === uid || metadata.annotations?.[volume] === id;
  const named = await client.find<PersistentVolume>(volumePath(formatProvisionedName(uid)));
  if (named && isIts(named)) return isLeft(named) ? named : undefined;
  const selector = encodeURIComponent(`${firstClaim}=${uid}`);
  const { items } = await client.list<PersistentVolume, PersistentVolume>(
    `${volumesPath}?labelSelector=${selector}`,
    (volume) => (isIts(volume) && isLeft(volume) ? [volume] : []),
  );
  return items[0];
}

/** Returns the usual name of a provisioned volume (external-provisioner, `--volume-name-prefix`). */
function formatProvisionedName(ofClaim: string): string {
  return `pvc-${ofClaim}`;
}

function isLeft(volume: PersistentVolume): boolean {
  return volume.spec.persistentVolumeReclaimPolicy === "Retain" && !isRemoving(volume);
}

/** Reserves a volume for a claim of that name with any uid. A begun removal is not undone. */
async function reserve(place: ClusterContext, left: PersistentVolume, { name }: ClaimId, id: string): Promise<void> {
  const { uid, resourceVersion } = left.metadata;
  await place.client.patch(volumePath(left.metadata.name), {
    metadata: { uid, resourceVersion, annotations: { [volume]: id } },
    spec: { claimRef: { name, uid: null, resourceVersion: null } },
  });
}

async function makeClaim(place: ClusterContext, left: PersistentVolume, { name }: ClaimId, id: string): Promise<void> {
  const { accessModes, capacity, storageClassName = "" } = left.spec;
  const body = {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: {
      name,
      labels: deploymentLabels(place.deployment),
      annotations: { [volume]: id, [claimAnnotation.zone]: zoneOfVolume(left) },
    },
    spec: {
      storageClassName,
      volumeName: left.metadata.name,
      accessModes,
      resources: { requests: { storage: capacity?.storage } },
    },
  };
  await place.client.create(place.paths.claims, body).catch((error: unknown) => {
    if (!alreadyExists(error)) throw error;
  });
}

/** Returns the zone of the volume; empty if it has none. */
function zoneOfVolume({ spec }: PersistentVolume): string {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const zones = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.filter(({ key }) => key.endsWith("/zone")),
  );
  return zones[0]?.values?.[0] ?? "";
}

function unlessOvertaken(error: unknown): void {
  if (!isAnother(error) && !isNotFound(error)) throw error;
}
