import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, NodeRef } from "#core/ports/compute.ts";
import type { Archive, ArchiveOwner, Volume, VolumeRef, Volumes } from "#core/ports/volumes.ts";
import { isBlobName } from "#core/store/blob-name.ts";
import { alreadyExists } from "../client/api-error.ts";
import { machineStates, readNodes } from "../nodes/read-nodes.ts";
import type { Toleration } from "../nodes/tolerations.ts";
import { holds, type Job, listClaimNames, type Pod } from "../objects.ts";
import { type ClusterContext, isLiving } from "../runs/read-run.ts";
import { archiveJob, archiveLabel, archiveName, archiveSecret, toArchiveRun } from "./archive-job.ts";
import { detachFromLost } from "./attachments.ts";
import type { Claim } from "./claim.ts";
import { type EbsMountOwner, makeEbsMounts, removeEbsMounts } from "./ebs-mounts.ts";

export type Archives = Pick<Volumes, "startArchive" | "findArchive" | "endArchive">;

export interface ArchiveOptions {
  readonly image: string;
  readonly tolerations?: readonly Toleration[] | undefined;
  readonly pullSecrets?: readonly string[] | undefined;
  /** The store must offer upload addresses. */
  readonly blobs: Pick<Blobs, "urlToPut" | "getSize">;
  /** Returns the name of the claim that mounts the volume. Throws if there is no such volume. */
  getClaimName(volume: string, owner: ArchiveOwner): Promise<string>;
  release?(owner: ArchiveOwner): Promise<void>;
  readonly getMachineState: Compute["getMachineState"];
}

/**
 * Makes zips of volumes in Jobs, which mount a volume read-only and upload the zip to Blobs
 * (docs/architecture/kubernetes.md). Only Blobs decides whether a zip exists.
 */
export function kubernetesArchives(place: ClusterContext, options: ArchiveOptions): Archives {
  return {
    startArchive: (volume, blob, owner) => startArchive(place, options, { volume, blob, owner }),
    findArchive: (blob) => findArchive(place, options, blob),
    endArchive: (blob, owner) => endArchive(place, options, { blob, owner }),
  };
}

interface EbsArchiveOptions extends Omit<ArchiveOptions, "getClaimName" | "release"> {
  findVolume(id: string): Promise<Volume | undefined>;
}

/** Makes zips of EBS volumes, which are mountable from before their Job until the archive ends. */
export function ebsArchives(place: ClusterContext, { findVolume, ...options }: EbsArchiveOptions): Archives {
  return kubernetesArchives(place, {
    ...options,
    async getClaimName(id, owner) {
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

interface Wanted {
  readonly volume: string;
  readonly blob: string;
  readonly owner: ArchiveOwner;
}

/** Creates the Job suspended, so that it can own the Secret with its address, then resumes it. Idempotent. */
async function startArchive(
  place: ClusterContext,
  { image, tolerations, pullSecrets, blobs, getClaimName }: ArchiveOptions,
  { volume, blob, owner }: Wanted,
): Promise<void> {
  const { client, paths } = place;
  const deadline = client.deadline();
  const found = await findJob(place, blob);
  if (found && !isSuspended(found)) return;
  if (!found && (await blobs.getSize(blob)) !== undefined) return;
  const upload = await blobs.urlToPut(blob);
  if (!upload) throw new Error("This blob store has no upload addresses");
  const make = async () => {
    const claim = await getClaimName(volume, owner);
    return makeJob(place, { image, tolerations, pullSecrets, volume, blob, owner, claim }, deadline);
  };
  const job = found ?? (await make());
  if (!isSuspended(job)) return;
  await client.apply(`${paths.secrets}/${job.metadata.name}`, archiveSecret(place, job, upload), deadline);
  const { name, uid } = job.metadata;
  await client.patch(`${paths.jobs}/${name}`, { metadata: { uid }, spec: { suspend: false } });
}

async function makeJob(
  place: ClusterContext,
  wanted: Parameters<typeof archiveJob>[1],
  deadline: AbortSignal,
): Promise<Job> {
  try {
    return await place.client.create<Job>(place.paths.jobs, archiveJob(place, wanted), deadline);
  } catch (error) {
    const found = alreadyExists(error) ? await findJob(place, wanted.blob) : undefined;
    if (!found) throw error;
    return found;
  }
}

function findJob({ client, paths, deployment }: ClusterContext, blob: string): Promise<Job | undefined> {
  return client.find<Job>(`${paths.jobs}/${archiveName(deployment, blob)}`);
}

function isSuspended({ spec }: Job): boolean {
  return spec?.suspend === true;
}

/** Finds an archive. Reads the Job before the blob, so that a complete Job has sent all it ever will. */
async function findArchive(
  place: ClusterContext,
  { blobs }: Pick<ArchiveOptions, "blobs">,
  blob: string,
): Promise<Archive | undefined> {
  if (!isBlobName(blob)) return undefined;
  const job = await findJob(place, blob);
  const bytes = await blobs.getSize(blob);
  if (bytes !== undefined) return { state: "completed", bytes };
  return job && { state: hasEnded(job) ? "failed" : "pending", bytes: 0 };
}

function hasEnded(job: Job): boolean {
  return job.metadata.deletionTimestamp !== undefined || !isLiving(job);
}

async function endArchive(
  place: ClusterContext,
  { release, getMachineState }: Pick<ArchiveOptions, "release" | "getMachineState">,
  { blob, owner }: Pick<Wanted, "blob" | "owner">,
): Promise<NodeRef | undefined> {
  const { client, paths, deployment } = place;
  const name = archiveName(deployment, blob);
  await client.remove(`${paths.jobs}/${name}`, { uid: undefined });
  await release?.(owner);
  return await releaseFromLostMachine(place, name, machineStates(getMachineState));
}

/**
 * Deletes the pods of an archive Job on a lost machine, where no kubelet confirms their end. A machine is lost if its
 * node does not answer and the cloud provider says that it is gone. Returns a machine that may still exist.
 */
async function releaseFromLostMachine(
  place: ClusterContext,
  name: string,
  getMachine: Compute["getMachineState"],
): Promise<NodeRef | undefined> {
  const { client, paths } = place;
  const path = `${paths.pods}?labelSelector=${encodeURIComponent(`${archiveLabel}=${name}`)}`;
  let waits: NodeRef | undefined;
  const { items: pods } = await client.list<Pod, Pod>(path, (pod) => (isOver(pod) ? [] : [pod]));
  for (const node of await readNodes(client, [...new Set(pods.flatMap(({ spec }) => spec.nodeName ?? []))])) {
    const { name: nodeName, uid } = node.metadata;
    if (holds(node, "Ready")) continue;
    const machine = { name: nodeName, uid, providerId: node.spec.providerID ?? null };
    if ((await getMachine(machine)) !== "gone") {
      waits = machine;
      continue;
    }
    const lost = pods.filter(({ spec }) => spec.nodeName === nodeName);
    // Read first: a claim that is being removed goes with its last pod.
    const volumes = await listVolumes(place, lost);
    await Promise.all(
      lost.map(({ metadata }) =>
        client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: 0 }),
      ),
    );
    await detachFromLost(place, volumes, []);
  }
  return waits;
}

function isOver({ status, spec }: Pod): boolean {
  return spec.nodeName === undefined || status?.phase === "Succeeded" || status?.phase === "Failed";
}

async function listVolumes({ client, paths }: ClusterContext, pods: readonly Pod[]): Promise<string[]> {
  const names = pods.flatMap(listClaimNames);
  const claims = await Promise.all(names.map((name) => client.find<Claim>(`${paths.claims}/${name}`)));
  return claims.flatMap((claim) => claim?.spec.volumeName ?? []);
}
