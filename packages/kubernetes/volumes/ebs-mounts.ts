import type { Mount, Run, RunRef } from "#core/ports/compute.ts";
import { RunNotTaken, RunRefused } from "#core/problem.ts";
import { type ApiRefused, alreadyExists } from "../client/api-error.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { pollUntil, usuallyGoneMs } from "../client/poll-until.ts";
import {
  buildMarks,
  deploymentLabels,
  everyRunSelector,
  isEbsVolume,
  labelledRun,
  type Marks,
  type RunId,
} from "../names.ts";
import type { KubeObject, Metadata } from "../objects.ts";
import { type ClusterContext, readRun } from "../runs/read-run.ts";
import { type Claim, type PersistentVolume, volumePath, volumesPath } from "./claim.ts";

/**
 * Driver of EBS volumes. The cluster does not know them, so each gets a PersistentVolume and a claim during a run
 * (aws-ebs-csi-driver, "Static Provisioning"). Both are named after the volume: with two claims, two pods could write
 * to it.
 */
const driver = "ebs.csi.aws.com";

/** Size in both objects. It only has to be equal so that they bind; only EBS knows the real size. */
const nominalSize = "1Gi";

/** Returns the name of a volume's PersistentVolume, which no provisioner would choose. */
function formatVolumeName(id: string): string {
  return `berth-${id}`;
}

export type EbsMountOwner = Pick<Run, "uid" | "run" | "key" | "name" | "pool" | "mounts">;

/** Makes EBS volumes mountable. Throws `RunNotTaken` while one is in use, `RunRefused` if a name is taken. */
export async function makeEbsMounts(place: ClusterContext, run: EbsMountOwner, deadline: AbortSignal): Promise<void> {
  const volumes = run.mounts.flatMap(({ volume }) => (isEbsVolume(volume.id) ? [volume] : []));
  await Promise.all(volumes.map((volume) => makeMount(place, run, volume, deadline)));
}

async function makeMount(
  place: ClusterContext,
  run: EbsMountOwner,
  volume: Mount["volume"],
  deadline: AbortSignal,
): Promise<void> {
  const isMade = await pollUntil(usuallyGoneMs, async () => {
    const found = await makeOrFindBoth(place, run, volume, deadline);
    if (!found) return true;
    await removeLeft(place, run, found);
    return undefined;
  });
  if (!isMade) throw new RunNotTaken(`its volume ${volume.id} is still on its last machine`);
}

/** Objects that block the mount: they are being removed, belong to another run, or their claim was deleted by hand. */
interface InTheWay {
  readonly volume: PersistentVolume | undefined;
  readonly claim: Claim | undefined;
}

/** Returns undefined if both exist and belong to this run. */
async function makeOrFindBoth(
  place: ClusterContext,
  run: EbsMountOwner,
  ref: Mount["volume"],
  deadline: AbortSignal,
): Promise<InTheWay | undefined> {
  const { client, paths, deployment } = place;
  const marks = buildMarks(run, deployment);
  const path = `${paths.claims}/${ref.id}`;
  const there = await client.find<Claim>(path, deadline);
  // Check the claim first: the cluster would bind a new PersistentVolume to any claim of that name.
  if (there) requireOwnClaim(place, there);
  const volume = await makeOrFind<PersistentVolume>(
    () => client.create(volumesPath, volumeObject(ref, marks, paths.namespace), deadline),
    () => client.find(volumePath(formatVolumeName(ref.id)), deadline),
  );
  if (volume) requireOwnVolume(place, volume, ref.id);
  if (!volume || !isLivingPart(run, volume)) return { volume, claim: there };
  const claim =
    there ??
    (await makeOrFind<Claim>(
      () => client.create(paths.claims, claimObject(ref, marks), deadline),
      () => client.find(path, deadline),
    ));
  if (claim) requireOwnClaim(place, claim);
  const { uid } = volume.spec.claimRef ?? {};
  const isBindable = uid === undefined || uid === claim?.metadata.uid;
  return claim && isLivingPart(run, claim) && isBindable ? undefined : { volume, claim };
}

async function makeOrFind<Item>(make: () => Promise<Item>, find: () => Promise<Item | undefined>) {
  try {
    return await make();
  } catch (error) {
    if (!alreadyExists(error)) throw error;
    return find();
  }
}

/** Throws unless the object is Berth's. Labels prove nothing, so this compares what decides the mounted volume. */
function requireOwnVolume(
  { paths, deployment }: ClusterContext,
  { metadata, spec }: PersistentVolume,
  id: string,
): void {
  const { csi, claimRef, persistentVolumeReclaimPolicy } = spec;
  const isOfVolume = csi?.driver === driver && csi.volumeHandle === id && persistentVolumeReclaimPolicy === "Retain";
  const isOfClaim = claimRef?.namespace === paths.namespace && claimRef.name === id;
  if (isOfDeployment(metadata, deployment) && isOfVolume && isOfClaim) return;
  throw new RunRefused(`The cluster has a PersistentVolume ${metadata.name} that is not Berth's`);
}

function requireOwnClaim({ deployment }: ClusterContext, { metadata, spec }: Claim): void {
  if (isOfDeployment(metadata, deployment) && spec.volumeName === formatVolumeName(metadata.name)) return;
  throw new RunRefused(`The cluster has a PersistentVolumeClaim ${metadata.name} that is not Berth's`);
}

function isOfDeployment(metadata: Metadata, deployment: string): boolean {
  const { labels } = metadata;
  if (!labelledRun(metadata)) return false;
  return Object.entries(deploymentLabels(deployment)).every(([name, value]) => labels?.[name] === value);
}

function isLivingPart({ uid, run }: RunId, { metadata }: KubeObject): boolean {
  const ownRun = labelledRun(metadata);
  return ownRun?.uid === uid && ownRun.run === run && metadata.deletionTimestamp === undefined;
}

/** Removes what an ended run left of the mount. Throws if that run still exists. */
async function removeLeft(place: ClusterContext, run: RunId, { volume, claim }: InTheWay): Promise<void> {
  const found = [volume, claim].flatMap((object) => object ?? []);
  for (const { metadata } of found) {
    const owner = labelledRun(metadata);
    if (!owner || (owner.uid === run.uid && owner.run === run.run)) continue;
    if (await isThere(place, owner)) throw new RunNotTaken("its volume is in use by another run");
  }
  if (claim) await remove(place, place.paths.claims, claim.metadata);
  if (volume) await remove(place, volumesPath, volume.metadata);
}

async function isThere(place: ClusterContext, id: RunId): Promise<boolean> {
  const { jobs, pods } = await readRun(place, id);
  return jobs.some(Boolean) || pods.length > 0;
}

/**
 * Removes the mounts of EBS volumes, never the volumes. The claim stays until the pod is gone, the PersistentVolume
 * until its node released it. Returns the names of the PersistentVolumes.
 */
export async function removeEbsMounts(
  place: ClusterContext,
  { uid, run }: RunId,
  refused: ApiRefused[] = [],
): Promise<string[]> {
  const { claims, volumes } = await listObjects(place, uid);
  const ofRun = (metadata: Metadata) => labelledRun(metadata)?.run === run;
  const ownVolumes = volumes.filter(ofRun);
  await Promise.all(claims.filter(ofRun).map((claim) => remove(place, place.paths.claims, claim, refused)));
  await Promise.all(ownVolumes.map((volume) => remove(place, volumesPath, volume, refused)));
  return ownVolumes.map(({ name }) => name);
}

export async function listEbsMounts(place: ClusterContext): Promise<RunRef[]> {
  const { claims, volumes } = await listObjects(place);
  return [...claims, ...volumes].flatMap((metadata) => labelledRun(metadata) ?? []);
}

async function listObjects(place: ClusterContext, uid?: string) {
  const { client, paths, deployment } = place;
  const selector = everyRunSelector(deployment, uid);
  const list = async (path: string, isNamed: (name: string) => boolean) => {
    const keep = ({ metadata }: KubeObject) => (isNamed(metadata.name) ? [metadata] : []);
    const found = client.list(`${path}?${selector}`, keep, { part: "metadata" }).then(({ items }) => items);
    // A deployment that cannot list them never created any.
    return unlessForbidden(place, `GET ${path}`, found, []);
  };
  const [claims, volumes] = await Promise.all([
    list(paths.claims, isEbsVolume),
    list(volumesPath, (name) => isEbsVolume(name.replace(/^berth-/, "")) && name.startsWith("berth-")),
  ]);
  return { claims, volumes };
}

async function remove(
  place: ClusterContext,
  folder: string,
  { name, uid }: Metadata,
  refused?: ApiRefused[],
): Promise<void> {
  const path = `${folder}/${name}`;
  await unlessForbidden(place, `DELETE ${path}`, place.client.remove(path, { uid }), undefined, refused);
}

function volumeObject({ id, zone }: Mount["volume"], marks: Marks, namespace: string): object {
  const expression = { key: "topology.kubernetes.io/zone", operator: "In", values: [zone] };
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: formatVolumeName(id), ...marks },
    spec: {
      capacity: { storage: nominalSize },
      accessModes: ["ReadWriteOncePod"],
      // The empty class keeps provisioners from claiming the object.
      storageClassName: "",
      persistentVolumeReclaimPolicy: "Retain",
      csi: { driver, volumeHandle: id, fsType: "ext4" },
      claimRef: { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name: id },
      ...(zone !== "" && { nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [expression] }] } } }),
    },
  };
}

function claimObject({ id }: Mount["volume"], marks: Marks): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: id, ...marks },
    spec: {
      storageClassName: "",
      volumeName: formatVolumeName(id),
      accessModes: ["ReadWriteOncePod"],
      resources: { requests: { storage: nominalSize } },
    },
  };
}
