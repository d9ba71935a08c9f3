import { setTimeout as sleep } from "node:timers/promises";
import { ApiRefused, isAnother, isForGood, isNotFound } from "./api-error.ts";
import {
  type Claim,
  claimAnnotation,
  claimPath,
  idOf,
  type PersistentVolume,
  readVolume,
  volumePath,
  volumesPath,
} from "./claim.ts";
import { type ClaimId, claimOf, deploymentLabels } from "./names.ts";
import type { Place } from "./read-run.ts";

/** A claim that somebody deleted is gone within a tenth of this, unless a pod has it. */
const goneWithinMs = 2_000;
const lookEveryMs = 50;

/** On a volume whose removal was begun: it is neither kept nor claimed again. */
const removing = "berth/removing";
/** On one that is claimed again: the id that it has for the core, which the uid of its first claim is part of. */
const volume = claimAnnotation.volume;

/**
 * The claim of a volume whose own was deleted by hand, made again: the volume outlives it, and so does what was written.
 * Undefined: no such volume is left.
 */
export async function claimAgain(place: Place, id: string): Promise<Claim | undefined> {
  const named = claimOf(id);
  if (!named) return undefined;
  const endsAt = performance.now() + goneWithinMs;
  for (;;) {
    const left = await leftVolume(place, id);
    if (!left) return undefined;
    const found = await place.client.find<Claim>(claimPath(place, named));
    if (found && idOf(found) !== id) return undefined;
    if (found && found.metadata.deletionTimestamp === undefined) return found;
    if (!found) await reserve(place, left, named, id).then(() => makeClaim(place, left, named, id), unlessOvertaken);
    if (performance.now() > endsAt) throw new Error("The claim of that volume is being removed by somebody");
    await sleep(lookEveryMs);
  }
}

/** Of a volume whose claim was deleted: it goes as its claim would have taken it along. */
export async function removeLeft(place: Place, id: string): Promise<void> {
  const left = claimOf(id) && (await leftVolume(place, id));
  if (left) await letGo(place, left);
}

/**
 * It goes with its claim, or now where that is gone; an overtaken one throws, and is tried again. What goes by its class
 * needs no change, which a policy of the cluster may refuse.
 */
export async function letGo({ client }: Place, { metadata, spec }: PersistentVolume): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  const body = {
    metadata: { uid, resourceVersion, annotations: { [removing]: "yes" } },
    spec: { persistentVolumeReclaimPolicy: "Delete" },
  };
  await client.patch(volumePath(name), body).catch((error: unknown) => {
    if (!isForGood(error) || spec.persistentVolumeReclaimPolicy !== "Delete") throw error;
  });
}

/** A claim that somebody deletes by hand does not take its volume along from now on. Whoever may not say so does not. */
export async function keepVolume(place: Place, claim: Claim): Promise<void> {
  const found = await readVolume(place, claim);
  if (found?.spec.persistentVolumeReclaimPolicy !== "Delete" || isRemoving(found)) return;
  const { name, uid, resourceVersion } = found.metadata;
  const body = { metadata: { uid, resourceVersion }, spec: { persistentVolumeReclaimPolicy: "Retain" } };
  await place.client.patch(volumePath(name), body).catch((error: unknown) => {
    if (!isForGood(error)) unlessOvertaken(error);
  });
}

function isRemoving({ metadata }: PersistentVolume): boolean {
  return metadata.annotations?.[removing] !== undefined || metadata.deletionTimestamp !== undefined;
}

/** Which claim a volume had is said by nothing but the volumes themselves. */
async function leftVolume({ client }: Place, id: string): Promise<PersistentVolume | undefined> {
  const uid = claimOf(id)?.uid;
  const { items } = await client.list<PersistentVolume, PersistentVolume>(volumesPath, (one) => {
    const isIts = one.spec.claimRef?.uid === uid || one.metadata.annotations?.[volume] === id;
    return isIts && one.spec.persistentVolumeReclaimPolicy === "Retain" && !isRemoving(one) ? [one] : [];
  });
  return items[0];
}

/** For a claim of that name to come, whatever its uid; as it was read, so that one that is being removed stays so. */
async function reserve(place: Place, left: PersistentVolume, { name }: ClaimId, id: string): Promise<void> {
  const { uid, resourceVersion } = left.metadata;
  await place.client.patch(volumePath(left.metadata.name), {
    metadata: { uid, resourceVersion, annotations: { [volume]: id } },
    spec: { claimRef: { name, uid: null, resourceVersion: null } },
  });
}

async function makeClaim(place: Place, left: PersistentVolume, { name }: ClaimId, id: string): Promise<void> {
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
