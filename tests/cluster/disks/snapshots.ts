import type { KubeClient, KubeObject } from "../client.ts";
import { now } from "../container/container.ts";
import { controllerWork } from "../controller-work.ts";
import { found, must } from "../objects.ts";
import { follow } from "../watch.ts";
import { findVolumeHandle, type PretendDisks } from "./pretend-disks.ts";
import { snapshotPath } from "./snapshot-api.ts";

interface Snapshot extends KubeObject {
  readonly spec: { readonly volumeSnapshotClassName?: string; readonly source: { persistentVolumeClaimName?: string } };
  readonly status?: { readonly boundVolumeSnapshotContentName?: string; readonly readyToUse?: boolean };
}

/** Class whose parameters define how its snapshots fail. */
interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: string;
  readonly parameters?: {
    /** Error text with which every try fails. */
    readonly fails?: string;
    /** Its snapshots begin but never complete. */
    readonly pends?: string;
    /** Its snapshots are never removed. */
    readonly stays?: string;
  };
}

interface Content extends KubeObject {
  readonly spec: { readonly deletionPolicy: string };
  readonly status?: { readonly snapshotHandle?: string };
}

interface PendingClaim extends KubeObject {
  readonly spec: { readonly dataSource?: { readonly kind: string; readonly name: string } };
  readonly status: { readonly phase: string };
}

const boundProtection = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection";
const contents = `${snapshotPath}/volumesnapshotcontents`;

/**
 * Plays the snapshot controller and the driver's sidecar. A snapshot of a bound claim is copied, and ready a moment
 * later. A failure is noted and tried again. A deleted snapshot goes once no claim is being restored from it.
 */
export function provideSnapshots(client: KubeClient, disks: PretendDisks, signal: AbortSignal): Promise<void> {
  const work = controllerWork(signal);
  const poll = (_type: string, snapshot: Snapshot) =>
    work(snapshot.metadata.uid, () => provide({ client, disks }, snapshot));
  return follow<Snapshot>(client, `${snapshotPath}/volumesnapshots`, poll, signal);
}

interface SnapshotContext {
  readonly client: KubeClient;
  readonly disks: PretendDisks;
}

/** Returns true if nothing is left to do. */
async function provide(place: SnapshotContext, { metadata }: Snapshot): Promise<boolean> {
  const snapshot = found(await place.client.get<Snapshot>(formatPath(metadata)));
  if (snapshot?.metadata.uid !== metadata.uid) {
    // The API server may remove an object that got a finalizer between the read and the write of its removal.
    await removeContent(place, metadata.uid);
    return true;
  }
  if (snapshot.metadata.deletionTimestamp !== undefined) return removeSnapshot(place, snapshot);
  return snapshot.status?.readyToUse === true || makeSnapshot(place, snapshot);
}

async function makeSnapshot(place: SnapshotContext, snapshot: Snapshot): Promise<boolean> {
  const { client } = place;
  const { metadata, spec, status } = snapshot;
  const path = formatPath(metadata);
  const say = async (now: object) => must(await client.patch(`${path}/status`, { status: now }));
  const used = await findClass(client, snapshot);
  const volume = await findVolumeHandle(client, metadata.namespace, spec.source.persistentVolumeClaimName ?? "");
  const problem = whyNot(used, volume);
  if (problem !== undefined || !used || !volume) {
    await say({ readyToUse: false, error: { time: now(), message: problem } });
    return false;
  }
  // The finalizer keeps the snapshot until its content is removed.
  must(await client.patch(path, { metadata: { uid: metadata.uid, finalizers: [boundProtection] } }));
  const content = status?.boundVolumeSnapshotContentName ?? (await cut(place, snapshot, used, volume));
  const isReady = used.parameters?.pends === undefined;
  await say({
    boundVolumeSnapshotContentName: content,
    creationTime: now(),
    readyToUse: isReady,
    restoreSize: "10Gi",
    error: null,
  });
  return isReady;
}

function whyNot(used: SnapshotClass | undefined, volume: string | undefined): string | undefined {
  if (!used) return "Failed to get snapshot class";
  if (!volume) return "Failed to create snapshot content with error the PVC is not yet bound to a PV";
  return used.parameters?.fails;
}

async function cut(
  { client, disks }: SnapshotContext,
  snapshot: Snapshot,
  used: SnapshotClass,
  volume: string,
): Promise<string> {
  const { namespace, uid } = snapshot.metadata;
  const name = `snapcontent-${uid}`;
  const content = found(await client.get<Content>(`${contents}/${name}`));
  if (!content) {
    must(
      await client.post(contents, {
        apiVersion: "snapshot.storage.k8s.io/v1",
        kind: "VolumeSnapshotContent",
        metadata: { name },
        spec: {
          driver: used.driver,
          deletionPolicy: used.deletionPolicy,
          volumeSnapshotClassName: used.metadata.name,
          source: { volumeHandle: volume },
          volumeSnapshotRef: { namespace, name: snapshot.metadata.name, uid },
        },
      }),
    );
  }
  if (content?.status?.snapshotHandle !== undefined) return name;
  const snapshotHandle = await disks.cut(volume, uid);
  must(await client.patch(`${contents}/${name}/status`, { status: { snapshotHandle, readyToUse: true } }));
  return name;
}

/** Removes a snapshot. Returns false, so that the next step finds it gone. */
async function removeSnapshot(place: SnapshotContext, snapshot: Snapshot): Promise<boolean> {
  const { client } = place;
  const { uid } = snapshot.metadata;
  const used = await findClass(client, snapshot);
  if (used?.parameters?.stays !== undefined || (await isSource(client, snapshot))) return false;
  await removeContent(place, uid);
  found(await client.patch(formatPath(snapshot.metadata), { metadata: { uid, finalizers: null } }));
  return false;
}

async function removeContent({ client, disks }: SnapshotContext, uid: string): Promise<void> {
  const path = `${contents}/snapcontent-${uid}`;
  const content = found(await client.get<Content>(path));
  if (content?.spec.deletionPolicy !== "Delete") return;
  // The uid finds a copy whose handle could not be stored.
  await disks.removeSnapshot(uid);
  found(await client.remove(path));
}

/** Reports whether a claim waits for a volume from this snapshot. */
async function isSource(client: KubeClient, { metadata }: Snapshot): Promise<boolean> {
  const path = `/api/v1/namespaces/${metadata.namespace}/persistentvolumeclaims`;
  const { items } = must(await client.get<{ items: readonly PendingClaim[] }>(path));
  return items.some(
    ({ spec: { dataSource }, status }) =>
      status.phase === "Pending" && dataSource?.kind === "VolumeSnapshot" && dataSource.name === metadata.name,
  );
}

async function findClass(client: KubeClient, { spec }: Snapshot): Promise<SnapshotClass | undefined> {
  const path = `${snapshotPath}/volumesnapshotclasses/${spec.volumeSnapshotClassName}`;
  return found(await client.get<SnapshotClass>(path));
}

/** Returns the handle of a snapshot's contents; undefined until it is ready. */
export async function findSnapshotHandle(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<string | undefined> {
  const snapshot = found(await client.get<Snapshot>(formatPath({ namespace, name })));
  if (snapshot?.status?.readyToUse !== true) return undefined;
  const content = await client.get<Content>(`${contents}/${snapshot.status.boundVolumeSnapshotContentName}`);
  return found(content)?.status?.snapshotHandle;
}

function formatPath({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${snapshotPath}/namespaces/${namespace}/volumesnapshots/${name}`;
}
