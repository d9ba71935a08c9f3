import { ApiRefused, isAnother, isForGood, isNotFound } from "../client/api-error.ts";
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

/** On a volume whose removal was begun: it is neither kept nor claimed again. */
const removing = "berth/removing";
/** On one that is claimed again: the id that it has for the core, which the uid of its first claim is part of. */
const volume = claimAnnotation.volume;
/** The label of a kept volume: the uid of its first claim. */
const firstClaim = "berth/claim";

/**
 * The claim of a volume whose own was deleted by hand, made again: the volume outlives it, and so does what was written.
 * Undefined: no such volume is left.
 */
export async function recreateClaim(
  place: ClusterContext,
  id: string,
  goneWithinMs: number,
): Promise<Claim | undefined> {
  const named = parseClaimId(id);
  if (!named) return undefined;
  const found = await pollUntil(goneWithinMs, () => claimOrMake(place, named, id));
  if (found === undefined) throw new Error("The claim of that volume is being removed by somebody");
  return found ?? undefined;
}

/** Null: there is none and will be none. Undefined: one is being removed, or was made just now. */
async function claimOrMake(place: ClusterContext, named: ClaimId, id: string): Promise<Claim | null | undefined> {
  const left = await leftVolume(place, id);
  if (!left) return null;
  const found = await place.client.find<Claim>(claimPath(place, named));
  if (found && getVolumeId(found) !== id) return null;
  if (found) return found.metadata.deletionTimestamp === undefined ? found : undefined;
  await reserve(place, left, named, id).then(() => makeClaim(place, left, named, id), unlessOvertaken);
  return undefined;
}

/** The volume of this very claim goes with it: nobody else's removal of the claim takes it along. */
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

/** Until the cluster binds a claim that was made again to its volume, that says for which claim it is by the name alone. */
function isReservedFor({ metadata, spec }: PersistentVolume, id: string): boolean {
  return spec.claimRef?.uid === undefined && metadata.annotations?.[volume] === id;
}

/** Of a volume whose claim was deleted: it goes now, as its claim would have taken it along. */
export async function removeRetained(place: ClusterContext, id: string): Promise<void> {
  const named = parseClaimId(id);
  if (!named) return;
  const read = () => leftVolume(place, id);
  await changeVolume(read, (found) => markRemoving(place, found, named.uid));
}

/**
 * What goes by its class needs no change, which a policy of the cluster may refuse. A cluster removes no volume that names
 * a claim without its uid: it waits for one of that name.
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

/**
 * A claim that somebody deletes by hand does not take its volume along from now on, and its volume is found without it.
 * Whoever may not say so does not.
 */
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

/**
 * A volume is changed as it was read, so that one whose removal was begun is not kept, and read anew where somebody else
 * wrote to it meanwhile. Undefined: there is nothing to change. Throws where it was overtaken each time.
 */
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

/**
 * Which claim a volume had is said by the volume alone. It is asked for by the name that provisioners give it, then by
 * the label that it has where it is called otherwise: a cluster has the volumes of others by the thousand.
 */
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

/** So every provisioner names what it makes unless its operator says otherwise (external-provisioner, `--volume-name-prefix`). */
function formatProvisionedName(ofClaim: string): string {
  return `pvc-${ofClaim}`;
}

function isLeft(volume: PersistentVolume): boolean {
  return volume.spec.persistentVolumeReclaimPolicy === "Retain" && !isRemoving(volume);
}

/** For a claim of that name to come, whatever its uid; as it was read, so that one that is being removed stays so. */
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
    if (!(error instanceof ApiRefused) || error.code !== "AlreadyExists") throw error;
  });
}

/** Where its nodes have to be; empty: anywhere. */
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
