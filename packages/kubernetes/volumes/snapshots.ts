import { createHash } from "node:crypto";
import type { OwnedSnapshot, SnapshotPage, SnapshotTags, VolumeSnapshot, Volumes } from "#core/ports/volumes.ts";
import { VolumeRefused } from "#core/problem.ts";
import { ApiRefused, alreadyExists, isAnother, isForGood, isNotFound } from "../client/api-error.ts";
import { describeMessage } from "../client/describe-message.ts";
import { pollUntil, usuallyGoneMs } from "../client/poll-until.ts";
import { annotation, deploymentLabels, deploymentSelector, label, labelValue, parseClaimId } from "../names.ts";
import type { KubeObject } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "../status/end-reason.ts";
import { readClaim, readVolume } from "./claim.ts";
import { findSnapshotClass, snapshotApi } from "./volume-classes.ts";

export type Snapshots = Pick<
  Volumes,
  "createSnapshot" | "listSnapshots" | "listOwnedSnapshots" | "findSnapshot" | "removeSnapshot" | "tagSnapshot"
>;

export interface SnapshotOptions {
  now(): number;
  /** Time after which a snapshot that reports errors counts as failed, ms. The controller retries. */
  readonly patienceMs?: number;
  /** Time to wait for a removal, ms. Default: two seconds. */
  readonly goneWithinMs?: number;
}

interface Snapshot extends KubeObject {
  readonly status?: { readonly readyToUse?: boolean; readonly error?: { readonly message?: string } | null };
}

const mark = { volume: "berth/volume", disk: "berth/disk", attempt: "berth/attempt" } as const;

/** Stores backups of claims as VolumeSnapshots of their namespace (docs/architecture/kubernetes.md). */
export function kubernetesSnapshots(place: ClusterContext, options: SnapshotOptions): Snapshots {
  const { now, patienceMs = 600_000, goneWithinMs = usuallyGoneMs } = options;
  const shown = (snapshot: Snapshot) => toSnapshot(snapshot, now(), patienceMs);
  return {
    createSnapshot: async (volumeId, tags) => shown(await createSnapshot(place, volumeId, tags)),
    listSnapshots: async (volumeId) => (await listSnapshots(place, volumeId)).map(shown),
    listOwnedSnapshots: () => listOwnedSnapshots(place),
    async findSnapshot(id) {
      const snapshot = await readSnapshot(place, id);
      return snapshot && snapshot.metadata.deletionTimestamp === undefined ? shown(snapshot) : undefined;
    },
    removeSnapshot: (id) => removeSnapshot(place, id, goneWithinMs),
    tagSnapshot: (id, tags) => tagSnapshot(place, id, tags),
  };
}

/** Converts a snapshot. Its time is the object's creation, since nothing writes to the volume until it is ready. */
function toSnapshot({ metadata, status }: Snapshot, now: number, patienceMs: number): VolumeSnapshot {
  const at = parseTime(metadata.creationTimestamp) ?? now;
  const hasFailed = status?.error != null && now - at >= patienceMs;
  const open = hasFailed ? "failed" : "pending";
  return {
    id: formatId(metadata),
    state: status?.readyToUse === true ? "completed" : open,
    at,
    tags: readTags(metadata),
  };
}

function readTags({ annotations = {} }: Snapshot["metadata"]): Partial<SnapshotTags> {
  const { [annotation.name]: name, [mark.disk]: disk, [annotation.key]: key, [mark.attempt]: attempt } = annotations;
  return {
    ...(name !== undefined && { name }),
    ...(disk !== undefined && { disk }),
    ...(key !== undefined && { key }),
    ...(attempt !== undefined && { attempt }),
  };
}

/** Creates a snapshot named after volume and attempt, so that the API server refuses a second one. */
async function createSnapshot(place: ClusterContext, volumeId: string, tags: SnapshotTags): Promise<Snapshot> {
  const claim = await readClaim(place, volumeId);
  if (!claim) throw new Error(`Volume ${volumeId} does not exist`);
  const driver = (await readVolume(place, claim))?.spec.csi?.driver;
  const name = formatName(volumeId, tags.attempt);
  const deadline = place.client.deadline();
  try {
    const className = driver && (await findSnapshotClass(place.client, driver));
    if (!className) throw new VolumeRefused("The cluster cannot create snapshots of this volume");
    const { labels, annotations } = tagged(tags);
    const metadata = {
      name,
      labels: { ...deploymentLabels(place.deployment), [mark.volume]: formatUid(volumeId), ...labels },
      annotations: { ...annotations, [mark.attempt]: tags.attempt },
    };
    const spec = { volumeSnapshotClassName: className, source: { persistentVolumeClaimName: claim.metadata.name } };
    const body = { apiVersion: snapshotApi, kind: "VolumeSnapshot", metadata, spec };
    return await place.client.create<Snapshot>(place.paths.snapshots, body, deadline);
  } catch (error) {
    if (isForGood(error))
      throw new VolumeRefused(`The cluster refused it: ${describeMessage((error as ApiRefused).said)}`);
    if (!alreadyExists(error)) throw error;
    const found = await place.client.find<Snapshot>(`${place.paths.snapshots}/${name}`, deadline);
    if (!found || found.metadata.deletionTimestamp !== undefined) throw error;
    return found;
  }
}

async function listSnapshots(place: ClusterContext, volumeId: string): Promise<readonly Snapshot[]> {
  if (!parseClaimId(volumeId)) return [];
  const selector = deploymentSelector(place.deployment, `${mark.volume}=${formatUid(volumeId)}`);
  try {
    const keep = (snapshot: Snapshot) => (snapshot.metadata.deletionTimestamp === undefined ? [snapshot] : []);
    return (await place.client.list<Snapshot, Snapshot>(`${place.paths.snapshots}?${selector}`, keep)).items;
  } catch (error) {
    if (await isWithoutApi(place, error)) return [];
    throw error;
  }
}

/**
 * Lists the deployment's snapshots as one page: an API server forgets its place in a list within minutes. The volume
 * label excludes foreign VolumeSnapshots with the deployment's labels.
 */
async function listOwnedSnapshots(place: ClusterContext): Promise<SnapshotPage> {
  const keep = ({ metadata }: Snapshot): OwnedSnapshot[] => {
    if (metadata.deletionTimestamp !== undefined) return [];
    const tags = readTags(metadata);
    return [{ id: formatId(metadata), key: tags.key ?? null, tags }];
  };
  try {
    const path = `${place.paths.snapshots}?${deploymentSelector(place.deployment, mark.volume)}`;
    return { snapshots: (await place.client.list<Snapshot, OwnedSnapshot>(path, keep, { part: "metadata" })).items };
  } catch (error) {
    if (await isWithoutApi(place, error)) return { snapshots: [] };
    throw error;
  }
}

/** Reports whether the cluster lacks the API. A 404 alone may come from a proxy. */
async function isWithoutApi({ client }: ClusterContext, error: unknown): Promise<boolean> {
  if (!(error instanceof ApiRefused) || error.status !== 404) return false;
  const { groups } = await client.get<{ groups: readonly { readonly name: string }[] }>("/apis");
  return !groups.some(({ name }) => snapshotApi.startsWith(`${name}/`));
}

async function readSnapshot(place: ClusterContext, id: string): Promise<Snapshot | undefined> {
  const [, name, uid] = /^(backup-[0-9a-f]{40})\.([0-9a-f-]{36})$/.exec(id) ?? [];
  if (name === undefined) return undefined;
  try {
    const snapshot = await place.client.find<Snapshot>(`${place.paths.snapshots}/${name}`);
    return snapshot?.metadata.uid === uid ? snapshot : undefined;
  } catch (error) {
    if (await isWithoutApi(place, error)) return undefined;
    throw error;
  }
}

/** Returns the object name of a complete snapshot, as the source of a claim. */
export async function findReadyName(place: ClusterContext, id: string): Promise<string | undefined> {
  const snapshot = await readSnapshot(place, id);
  const isReady = snapshot?.status?.readyToUse === true && snapshot.metadata.deletionTimestamp === undefined;
  return isReady ? snapshot.metadata.name : undefined;
}

/** Removes a snapshot. The object stays while a claim is created from it and until its data is deleted. */
async function removeSnapshot(place: ClusterContext, id: string, goneWithinMs: number): Promise<void> {
  const found = await readSnapshot(place, id);
  if (!found) return;
  const { name, uid } = found.metadata;
  await place.client.remove(`${place.paths.snapshots}/${name}`, { uid });
  const isGone = await pollUntil(goneWithinMs, async () => (await readSnapshot(place, id)) === undefined || undefined);
  if (!isGone) throw new VolumeRefused("The cluster has not removed the snapshot yet");
}

async function tagSnapshot(
  place: ClusterContext,
  id: string,
  tags: Pick<SnapshotTags, "name" | "disk" | "key">,
): Promise<void> {
  const found = await readSnapshot(place, id);
  if (!found) throw gone();
  const { name, uid } = found.metadata;
  try {
    await place.client.patch(`${place.paths.snapshots}/${name}`, { metadata: { uid, ...tagged(tags) } });
  } catch (error) {
    if (isNotFound(error) || isAnother(error)) throw gone();
    throw error;
  }
}

function gone(): VolumeRefused {
  return new VolumeRefused("The snapshot does not exist");
}

/** Labels serve `kubectl get -l`; annotations hold the unchanged text. */
function tagged({ name, disk, key }: Pick<SnapshotTags, "name" | "disk" | "key">) {
  return {
    labels: { [label.name]: labelValue(name), [mark.disk]: labelValue(disk) },
    annotations: {
      [annotation.name]: name,
      [mark.disk]: disk,
      ...(key !== undefined && { [annotation.key]: key }),
    },
  };
}

function formatName(volumeId: string, attempt: string): string {
  return `backup-${createHash("sha256").update(`${volumeId}\n${attempt}`).digest("hex").slice(0, 40)}`;
}

function formatId({ name, uid }: Snapshot["metadata"]): string {
  return `${name}.${uid}`;
}

function formatUid(volumeId: string): string {
  return parseClaimId(volumeId)?.uid ?? "";
}
