import type { Blobs } from "#core/ports/blobs.ts";
import type { Archive, Volumes } from "#core/ports/volumes.ts";
import { ApiRefused } from "./api-error.ts";
import { archiveJob, archiveLabel, archiveName, archiveSecret } from "./archive-job.ts";
import { claimAnnotation } from "./claim.ts";
import { holds, type Job, type Pod } from "./objects.ts";
import type { Place } from "./read-run.ts";
import { MAIN } from "./run-job.ts";

export type Archives = Pick<Volumes, "startArchive" | "findArchive">;

export interface ArchiveOptions {
  /** The image of images/tools. */
  readonly image: string;
  /** Where a zip goes: a store that has addresses. */
  readonly blobs: Pick<Blobs, "urlToPut">;
  /** The name of the claim by which a pod mounts this volume; throws where there is no such volume. */
  claimOf(volume: string): Promise<string>;
  /** Called when the Job of this volume is seen to have ended, each time. */
  release?(volume: string): Promise<void>;
}

/**
 * Zips of volumes by Jobs, each of which mounts one, may read it and sends the zip to an address of Blobs
 * (docs/architecture.md#runs-on-a-cluster). A Job has a minute, and is forgotten five minutes after its end.
 */
export function kubernetesArchives(place: Place, options: ArchiveOptions): Archives {
  return {
    startArchive: (volume, blob) => startArchive(place, options, { volume, blob }),
    findArchive: (blob) => findArchive(place, options, blob),
  };
}

interface Wanted {
  readonly volume: string;
  readonly blob: string;
}

/**
 * The Job is made before its address, which it owns and takes along, and begins once that is there. Each step may be
 * repeated, also at the same moment: what an interrupted call left is finished by the next one.
 */
async function startArchive(
  place: Place,
  { image, blobs, claimOf }: ArchiveOptions,
  { volume, blob }: Wanted,
): Promise<void> {
  const { client, paths } = place;
  const deadline = client.deadline();
  const found = await findJob(place, blob);
  if (found && !isSuspended(found)) return;
  const upload = await blobs.urlToPut(blob);
  if (!upload) throw new Error("These blobs have no addresses to send a zip to");
  const job = found ?? (await makeJob(place, { image, volume, blob, claim: await claimOf(volume) }, deadline));
  if (!isSuspended(job)) return;
  await client.apply(`${paths.secrets}/${job.metadata.name}`, archiveSecret(place, job, upload), deadline);
  const { name, uid } = job.metadata;
  await client.patch(`${paths.jobs}/${name}`, { metadata: { uid }, spec: { suspend: false } });
}

async function makeJob(place: Place, wanted: Parameters<typeof archiveJob>[1], deadline: AbortSignal): Promise<Job> {
  try {
    return await place.client.create<Job>(place.paths.jobs, archiveJob(place, wanted), deadline);
  } catch (error) {
    const isThere = error instanceof ApiRefused && error.code === "AlreadyExists";
    const found = isThere ? await findJob(place, wanted.blob) : undefined;
    if (!found) throw error;
    return found;
  }
}

function findJob({ client, paths, deployment }: Place, blob: string): Promise<Job | undefined> {
  return client.find<Job>(`${paths.jobs}/${archiveName(deployment, blob)}`);
}

function isSuspended({ spec }: Job): boolean {
  return spec?.suspend === true;
}

async function findArchive(
  place: Place,
  { release }: Pick<ArchiveOptions, "release">,
  blob: string,
): Promise<Archive | undefined> {
  const job = await findJob(place, blob);
  if (!job) return undefined;
  const archive = await archiveOf(place, job);
  const volume = job.metadata.annotations?.[claimAnnotation.volume];
  if (archive.state !== "pending" && volume !== undefined) await release?.(volume);
  return archive;
}

async function archiveOf(place: Place, job: Job): Promise<Archive> {
  if (holds(job, "Complete")) return endedArchive(await bytesSent(place, job));
  const hasFailed = holds(job, "Failed") || holds(job, "FailureTarget") || job.metadata.deletionTimestamp !== undefined;
  return hasFailed ? endedArchive(undefined) : { state: "pending", bytes: 0 };
}

/** One whose size nobody knows any more, since its pod is gone, counts as failed. */
function endedArchive(bytes: number | undefined): Archive {
  return bytes === undefined ? { state: "failed", bytes: 0 } : { state: "completed", bytes };
}

/** In the last words of its pod, of which nobody else is the author. */
async function bytesSent({ client, paths }: Place, { metadata }: Job): Promise<number | undefined> {
  const path = `${paths.pods}?labelSelector=${encodeURIComponent(`${archiveLabel}=${metadata.name}`)}`;
  const { items } = await client.list<Pod, number>(path, (pod) => {
    const isIts = pod.metadata.ownerReferences?.some(({ uid }) => uid === metadata.uid) ?? false;
    const main = pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.state;
    return isIts && main?.terminated?.exitCode === 0 ? bytesIn(main.terminated.message) : [];
  });
  return items[0];
}

function bytesIn(message: string | undefined): number[] {
  try {
    const { bytes } = (JSON.parse(message ?? "") ?? {}) as Record<string, unknown>;
    return typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes > 0 ? [bytes] : [];
  } catch {
    return [];
  }
}
