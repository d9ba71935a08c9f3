import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, NodeRef } from "#core/ports/compute.ts";
import type { Archive, ArchiveOwner, Volumes } from "#core/ports/volumes.ts";
import { isBlobName } from "#core/store/blob-name.ts";
import { ApiRefused } from "../client/api-error.ts";
import { machineStates } from "../nodes/machine-state.ts";
import type { Job } from "../objects.ts";
import { type ClusterContext, isLiving } from "../runs/read-run.ts";
import { archiveJob, archiveName, archiveSecret } from "./archive-job.ts";
import { releaseFromLostMachine } from "./release-from-lost-machine.ts";

export type Archives = Pick<Volumes, "startArchive" | "findArchive" | "endArchive">;

export interface ArchiveOptions {
  readonly image: string;
  /** The store must offer upload addresses. */
  readonly blobs: Pick<Blobs, "urlToPut" | "getSize">;
  /** Returns the name of the claim that mounts the volume. Throws if there is no such volume. */
  claimOf(volume: string, owner: ArchiveOwner): Promise<string>;
  release?(owner: ArchiveOwner): Promise<void>;
  readonly machineOf: Compute["getMachineState"];
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

interface Wanted {
  readonly volume: string;
  readonly blob: string;
  readonly owner: ArchiveOwner;
}

/** Creates the Job suspended, so that it can own the Secret with its address, then resumes it. Idempotent. */
async function startArchive(
  place: ClusterContext,
  { image, blobs, claimOf }: ArchiveOptions,
  { volume, blob, owner }: Wanted,
): Promise<void> {
  const { client, paths } = place;
  const deadline = client.deadline();
  const found = await findJob(place, blob);
  if (found && !isSuspended(found)) return;
  if (!found && (await blobs.getSize(blob)) !== undefined) return;
  const upload = await blobs.urlToPut(blob);
  if (!upload) throw new Error("This blob store has no upload addresses");
  const job =
    found ?? (await makeJob(place, { image, volume, blob, owner, claim: await claimOf(volume, owner) }, deadline));
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
    const isThere = error instanceof ApiRefused && error.code === "AlreadyExists";
    const found = isThere ? await findJob(place, wanted.blob) : undefined;
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
  { release, machineOf }: Pick<ArchiveOptions, "release" | "machineOf">,
  { blob, owner }: Pick<Wanted, "blob" | "owner">,
): Promise<NodeRef | undefined> {
  const { client, paths, deployment } = place;
  const name = archiveName(deployment, blob);
  await client.remove(`${paths.jobs}/${name}`, { uid: undefined });
  await release?.(owner);
  return await releaseFromLostMachine(place, name, machineStates(machineOf));
}
