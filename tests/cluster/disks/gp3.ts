import { createHash } from "node:crypto";
import type { KubeClient, KubeObject } from "../client.ts";
import { controllerWork } from "../controller-work.ts";
import { found, must } from "../objects.ts";
import { follow } from "../watch.ts";
import type { PretendDisks } from "./pretend-disks.ts";
import { findSnapshotHandle } from "./snapshots.ts";

const driver = "ebs.csi.aws.com";
const volumes = "/api/v1/persistentvolumes";

interface Claim extends KubeObject {
  readonly spec: {
    readonly volumeName?: string;
    readonly storageClassName: string;
    readonly accessModes: readonly string[];
    readonly resources: { readonly requests: { readonly storage: string } };
    readonly dataSource?: { readonly kind: string; readonly name: string };
  };
}

interface StorageClass extends KubeObject {
  readonly reclaimPolicy: string;
  readonly volumeBindingMode: string;
}

interface Volume extends KubeObject {
  readonly spec: {
    readonly persistentVolumeReclaimPolicy: string;
    readonly csi?: { readonly driver: string; readonly volumeHandle: string };
  };
  readonly status: { readonly phase: string };
}

/**
 * Plays the provisioner of the EBS driver. A claim whose first pod was scheduled gets a volume in that node's zone, a
 * claim of a class that binds at once gets one in any zone, with the contents of its snapshot. A released volume with
 * the policy `Delete` is removed. The real controllers bind the volumes.
 */
export function provisionGp3(client: KubeClient, disks: PretendDisks, signal: AbortSignal): Promise<unknown> {
  const work = controllerWork(signal);
  const place = { client, disks };
  return Promise.all([
    follow<Claim>(
      client,
      "/api/v1/persistentvolumeclaims",
      (type, claim) => {
        const isOpen = type !== "DELETED" && isOurs(claim);
        if (isOpen) work(claim.metadata.uid, () => provision(place, claim));
      },
      signal,
    ),
    follow<Volume>(
      client,
      volumes,
      (type, volume) => {
        if (type !== "DELETED" && goes(volume)) work(volume.metadata.uid, () => removeVolume(place, volume));
      },
      signal,
    ),
  ]);
}

interface PriceRegion {
  readonly client: KubeClient;
  readonly disks: PretendDisks;
}

/** Returns true if the claim has its volume or waits for a later event. */
async function provision({ client, disks }: PriceRegion, { metadata }: Claim): Promise<boolean> {
  const { namespace } = metadata;
  const claim = found(
    await client.get<Claim>(`/api/v1/namespaces/${namespace}/persistentvolumeclaims/${metadata.name}`),
  );
  if (claim?.metadata.uid !== metadata.uid || !isOurs(claim)) return true;
  const handle = handleFor(claim);
  const volume = await volumeFor(client, claim, handle);
  if (volume === undefined) return true;
  const { dataSource } = claim.spec;
  const snapshot = dataSource && (await findSnapshotHandle(client, namespace, dataSource.name));
  if (dataSource && snapshot === undefined) return false;
  await disks.make(handle, snapshot);
  const made = await client.post(volumes, volume);
  // The volume is named by the claim, so another step may have created it.
  if (made.status !== 409) must(made);
  return true;
}

function isOurs({ metadata, spec }: Claim): boolean {
  const isFor = metadata.annotations?.["volume.kubernetes.io/storage-provisioner"] === driver;
  return isFor && spec.volumeName === undefined && metadata.deletionTimestamp === undefined;
}

function goes({ metadata, spec, status }: Volume): boolean {
  const isLeft = status.phase === "Released" && spec.persistentVolumeReclaimPolicy === "Delete";
  return isLeft && metadata.deletionTimestamp === undefined;
}

async function removeVolume({ client, disks }: PriceRegion, { metadata }: Volume): Promise<boolean> {
  const path = `${volumes}/${metadata.name}`;
  const volume = found(await client.get<Volume>(path));
  if (volume?.metadata.uid !== metadata.uid || !goes(volume)) return true;
  const { csi } = volume.spec;
  if (csi?.driver === driver) await disks.remove(csi.volumeHandle);
  found(await client.remove(path));
  return true;
}

function handleFor({ metadata }: Claim): string {
  return `vol-0${createHash("sha256").update(metadata.uid).digest("hex").slice(0, 16)}`;
}

async function volumeFor(client: KubeClient, { metadata, spec }: Claim, handle: string): Promise<object | undefined> {
  const annotations = metadata.annotations ?? {};
  const nodeName = annotations["volume.kubernetes.io/selected-node"];
  const storageClass = found(
    await client.get<StorageClass>(`/apis/storage.k8s.io/v1/storageclasses/${spec.storageClassName}`),
  );
  if (!storageClass || (nodeName === undefined && storageClass.volumeBindingMode !== "Immediate")) return undefined;
  const key = "topology.kubernetes.io/zone";
  const zone = nodeName && found(await client.get(`/api/v1/nodes/${nodeName}`))?.metadata.labels?.[key];
  return {
    metadata: { name: `pvc-${metadata.uid}`, annotations: { "pv.kubernetes.io/provisioned-by": driver } },
    spec: {
      capacity: { storage: spec.resources.requests.storage },
      accessModes: spec.accessModes,
      volumeMode: "Filesystem",
      storageClassName: spec.storageClassName,
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy,
      claimRef: {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
      },
      csi: { driver, volumeHandle: handle, fsType: "ext4" },
      ...(zone
        ? {
            nodeAffinity: {
              required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "In", values: [zone] }] }] },
            },
          }
        : {}),
    },
  };
}
