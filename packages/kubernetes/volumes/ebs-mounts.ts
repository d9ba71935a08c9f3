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
 * Volumes of EBS in a run: the cluster knows none of them by itself, so each gets a PersistentVolume and a claim for as
 * long as one run has it (aws-ebs-csi-driver, "Static Provisioning"). Both are named after the volume and not after
 * the run: of two claims for one volume each would let a pod write to it.
 */
const driver = "ebs.csi.aws.com";

/**
 * EBS knows how large a volume is, and the cluster asks nobody: these two have to agree with each other alone, so that
 * the one is bound to the other.
 */
const nominalSize = "1Gi";

/** Of a volume's PersistentVolume: one that a provisioner made is never called so. */
function formatVolumeName(id: string): string {
  return `berth-${id}`;
}

/** A run, as far as what it mounts needs it. */
export type EbsMountOwner = Pick<Run, "uid" | "run" | "key" | "name" | "pool" | "mounts">;

/**
 * Lets a run's pod mount its volumes of EBS. Throws `RunNotTaken` while another run has one of them, or its node still
 * does; `RunRefused` where somebody else has made an object of that name.
 */
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

/** What is in the way: it is being removed, is another run's, or belongs to a claim that somebody deleted by hand. */
interface InTheWay {
  readonly volume: PersistentVolume | undefined;
  readonly claim: Claim | undefined;
}

/** Undefined: both are there, and this run's. */
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
  // Before there is a PersistentVolume for it: the cluster would bind that to whichever claim has the name.
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

/** Labels alone prove nothing: it is the right one only with what decides which volume is mounted, and by whom. */
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

/** Whoever had a volume before is over once the core gives it on: what such a run has left goes, and nothing of a living one. */
async function removeLeft(place: ClusterContext, run: RunId, { volume, claim }: InTheWay): Promise<void> {
  const found = [volume, claim].flatMap((object) => object ?? []);
  for (const { metadata } of found) {
    const owner = labelledRun(metadata);
    if (!owner || (owner.uid === run.uid && owner.run === run.run)) continue;
    if (await isThere(place, owner)) throw new RunNotTaken("its volume is in use by another run");
  }
  if (claim) await removeClaim(place, claim.metadata);
  if (volume) await removeVolume(place, volume.metadata);
}

async function isThere(place: ClusterContext, id: RunId): Promise<boolean> {
  const { jobs, pods } = await readRun(place, id);
  return jobs.some(Boolean) || pods.length > 0;
}

/**
 * Takes away what lets a run mount volumes of EBS; never the volumes, which are not the cluster's. The claim stays until
 * the pod is gone, and the PersistentVolume until its node has let go of it. Answers the names of the latter.
 */
export async function removeEbsMounts(
  place: ClusterContext,
  { uid, run }: RunId,
  refused: ApiRefused[] = [],
): Promise<string[]> {
  const { claims, volumes } = await listObjects(place, uid);
  const ofRun = (metadata: Metadata) => labelledRun(metadata)?.run === run;
  const ownMetadatas = volumes.filter(ofRun);
  await Promise.all(claims.filter(ofRun).map((claim) => removeClaim(place, claim, refused)));
  await Promise.all(ownMetadatas.map((volume) => removeVolume(place, volume, refused)));
  return ownMetadatas.map(({ name }) => name);
}

/** The runs that have any of them. */
export async function listEbsMounts(place: ClusterContext): Promise<RunRef[]> {
  const { claims, volumes } = await listObjects(place);
  return [...claims, ...volumes].flatMap((metadata) => labelledRun(metadata) ?? []);
}

/** Of one uid, where that is given. */
async function listObjects(place: ClusterContext, uid?: string) {
  const { client, paths, deployment } = place;
  const selector = everyRunSelector(deployment, uid);
  const list = async (path: string, isNamed: (name: string) => boolean) => {
    const keep = ({ metadata }: KubeObject) => (isNamed(metadata.name) ? [metadata] : []);
    const found = client.list(`${path}?${selector}`, keep, { part: "metadata" }).then(({ items }) => items);
    // Whoever was never allowed to list them has made none either.
    return unlessForbidden(place, `GET ${path}`, found, []);
  };
  const [claims, volumes] = await Promise.all([
    list(paths.claims, isEbsVolume),
    list(volumesPath, (name) => isEbsVolume(name.replace(/^berth-/, "")) && name.startsWith("berth-")),
  ]);
  return { claims, volumes };
}

async function removeClaim(place: ClusterContext, { name, uid }: Metadata, refused?: ApiRefused[]): Promise<void> {
  await remove(place, `${place.paths.claims}/${name}`, uid, refused);
}

async function removeVolume(place: ClusterContext, { name, uid }: Metadata, refused?: ApiRefused[]): Promise<void> {
  await remove(place, volumePath(name), uid, refused);
}

async function remove(
  place: ClusterContext,
  path: string,
  uid: string | undefined,
  refused?: ApiRefused[],
): Promise<void> {
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
      // Without a class no provisioner ever takes it, or its claim, for its own.
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
