import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient, KubeObject } from "./client.ts";
import { now } from "./container.ts";
import { handleOf, type PretendDisks } from "./pretend-disks.ts";
import { snapshotPath } from "./snapshot-api.ts";
import { follow } from "./watch.ts";

interface Snapshot extends KubeObject {
  readonly spec: { readonly volumeSnapshotClassName?: string; readonly source: { persistentVolumeClaimName?: string } };
  readonly status?: { readonly boundVolumeSnapshotContentName?: string; readonly readyToUse?: boolean };
}

/** A class says by its parameters what becomes of its snapshots. */
interface SnapshotClass extends KubeObject {
  readonly driver: string;
  readonly deletionPolicy: string;
  readonly parameters?: {
    /** Every try fails with these words. */
    readonly fails?: string;
    /** They are begun and not completed. */
    readonly pends?: string;
    /** They are not removed. */
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

const againMs = 50;
const boundProtection = "snapshot.storage.kubernetes.io/volumesnapshot-bound-protection";
const contents = `${snapshotPath}/volumesnapshotcontents`;

/**
 * What the snapshot controller and the driver's sidecar do: a snapshot of a bound claim is cut, and ready a moment later;
 * what cannot be done is noted and tried again; one that is deleted goes once nothing is being restored from it.
 */
export function provideSnapshots(client: KubeClient, disks: PretendDisks, signal: AbortSignal): Promise<void> {
  const busy = new Set<string>();
  const once = async (key: string, work: () => Promise<void>) => {
    if (busy.has(key)) return;
    busy.add(key);
    // The server is away while it starts again, and ends before this does.
    await work().catch(() => undefined);
    busy.delete(key);
  };
  const look = (type: string, snapshot: Snapshot) => {
    const { uid, deletionTimestamp } = snapshot.metadata;
    if (type === "DELETED") return;
    const place = { client, disks, signal };
    if (deletionTimestamp !== undefined) void once(`remove ${uid}`, () => removeSnapshot(place, snapshot));
    else if (!snapshot.status?.readyToUse) void once(`make ${uid}`, () => makeSnapshot(place, snapshot));
  };
  return follow<Snapshot>(client, `${snapshotPath}/volumesnapshots`, look, signal);
}

interface Place {
  readonly client: KubeClient;
  readonly disks: PretendDisks;
  readonly signal: AbortSignal;
}

async function makeSnapshot(place: Place, { metadata }: Snapshot): Promise<void> {
  const { client, signal } = place;
  const path = pathOf(metadata);
  const say = (status: object) => client.patch(`${path}/status`, { status });
  for (; !signal.aborted; await sleep(againMs)) {
    const { status, body } = await client.get<Snapshot>(path);
    if (status === 404 || body.metadata.uid !== metadata.uid || body.metadata.deletionTimestamp) return;
    const used = await classOf(client, body);
    const volume = await handleOf(client, metadata.namespace, body.spec.source.persistentVolumeClaimName ?? "");
    const problem = whyNot(used, volume);
    if (problem !== undefined || !used || !volume) {
      await say({ readyToUse: false, error: { time: now(), message: problem } });
      continue;
    }
    await client.patch(path, { metadata: { finalizers: [boundProtection] } });
    const content = body.status?.boundVolumeSnapshotContentName ?? (await cut(place, body, used, volume));
    const isReady = used.parameters?.pends === undefined;
    await say({
      boundVolumeSnapshotContentName: content,
      creationTime: now(),
      readyToUse: isReady,
      restoreSize: "10Gi",
      error: null,
    });
    if (isReady) return;
  }
}

function whyNot(used: SnapshotClass | undefined, volume: string | undefined): string | undefined {
  if (!used) return "Failed to get snapshot class";
  if (!volume) return "Failed to create snapshot content with error the PVC is not yet bound to a PV";
  return used.parameters?.fails;
}

async function cut({ client, disks }: Place, snapshot: Snapshot, used: SnapshotClass, volume: string): Promise<string> {
  const { namespace, uid } = snapshot.metadata;
  const name = `snapcontent-${uid}`;
  const snapshotHandle = await disks.cut(volume);
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
  });
  await client.patch(`${contents}/${name}/status`, { status: { snapshotHandle, readyToUse: true } });
  return name;
}

async function removeSnapshot({ client, disks, signal }: Place, snapshot: Snapshot): Promise<void> {
  const path = pathOf(snapshot.metadata);
  for (; !signal.aborted; await sleep(againMs)) {
    const { status, body } = await client.get<Snapshot>(path);
    if (status === 404 || body.metadata.uid !== snapshot.metadata.uid) return;
    const used = await classOf(client, body);
    if (used?.parameters?.stays !== undefined || (await isSource(client, body))) continue;
    const content = `${contents}/snapcontent-${body.metadata.uid}`;
    const found = await client.get<Content>(content);
    if (found.status === 200 && found.body.spec.deletionPolicy === "Delete") {
      await disks.removeSnapshot(found.body.status?.snapshotHandle ?? "none");
      await client.remove(content);
    }
    await client.patch(path, { metadata: { finalizers: null } });
  }
}

/** Whether a claim waits for its volume to be made of it. */
async function isSource(client: KubeClient, { metadata }: Snapshot): Promise<boolean> {
  const path = `/api/v1/namespaces/${metadata.namespace}/persistentvolumeclaims`;
  const { body } = await client.get<{ items: readonly PendingClaim[] }>(path);
  return body.items.some(
    ({ spec: { dataSource }, status }) =>
      status.phase === "Pending" && dataSource?.kind === "VolumeSnapshot" && dataSource.name === metadata.name,
  );
}

async function classOf(client: KubeClient, { spec }: Snapshot): Promise<SnapshotClass | undefined> {
  const { status, body } = await client.get<SnapshotClass>(
    `${snapshotPath}/volumesnapshotclasses/${spec.volumeSnapshotClassName}`,
  );
  return status === 200 ? body : undefined;
}

/** The handle of what a snapshot holds; undefined while it is not ready. */
export async function snapshotHandleOf(
  client: KubeClient,
  namespace: string,
  name: string,
): Promise<string | undefined> {
  const { body } = await client.get<Snapshot>(pathOf({ namespace, name }));
  if (body.status?.readyToUse !== true) return undefined;
  const content = await client.get<Content>(`${contents}/${body.status.boundVolumeSnapshotContentName}`);
  return content.body.status?.snapshotHandle;
}

function pathOf({ namespace, name }: { readonly namespace: string; readonly name: string }): string {
  return `${snapshotPath}/namespaces/${namespace}/volumesnapshots/${name}`;
}
