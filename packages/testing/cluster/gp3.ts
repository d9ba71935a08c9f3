import { createHash } from "node:crypto";
import type { KubeClient, KubeObject } from "./client.ts";
import type { PretendDisks } from "./pretend-disks.ts";
import { snapshotHandleOf } from "./snapshots.ts";
import { follow } from "./watch.ts";

const driver = "ebs.csi.aws.com";

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
 * What the EBS driver's provisioner does: a claim whose first pod was scheduled gets a volume in that node's zone, one of
 * a class that binds at once gets one somewhere, with what its snapshot holds, and a released volume of the policy
 * `Delete` goes. The real controllers bind it.
 */
export function provisionGp3(client: KubeClient, disks: PretendDisks, signal: AbortSignal): Promise<unknown> {
  const volumes = "/api/v1/persistentvolumes";
  const provision = async (claim: Claim) => {
    const handle = handleFor(claim);
    const volume = await volumeFor(client, claim, handle);
    if (volume === undefined) return;
    const { dataSource } = claim.spec;
    const { namespace } = claim.metadata;
    const snapshot = dataSource && (await snapshotHandleOf(client, namespace, dataSource.name));
    if (dataSource && snapshot === undefined) return;
    await disks.make(handle, snapshot);
    // A second event of the same claim finds it made: the name comes from the claim.
    await client.post(volumes, volume);
  };
  return Promise.all([
    follow<Claim>(
      client,
      "/api/v1/persistentvolumeclaims",
      (type, claim) => void (type !== "DELETED" && provision(claim).catch(() => {})),
      signal,
    ),
    follow<Volume>(
      client,
      volumes,
      (type, { spec, status, metadata }) => {
        const goes = status.phase === "Released" && spec.persistentVolumeReclaimPolicy === "Delete";
        if (type === "DELETED" || !goes || metadata.deletionTimestamp !== undefined) return;
        const { csi } = spec;
        if (csi?.driver === driver) void disks.remove(csi.volumeHandle).catch(() => {});
        void client.remove(`${volumes}/${metadata.name}`).catch(() => {});
      },
      signal,
    ),
  ]);
}

function handleFor({ metadata }: Claim): string {
  return `vol-0${createHash("sha256").update(metadata.uid).digest("hex").slice(0, 16)}`;
}

async function volumeFor(client: KubeClient, { metadata, spec }: Claim, handle: string): Promise<object | undefined> {
  const annotations = metadata.annotations ?? {};
  const nodeName = annotations["volume.kubernetes.io/selected-node"];
  const isOurs = annotations["volume.kubernetes.io/storage-provisioner"] === driver;
  if (!isOurs || spec.volumeName !== undefined) return undefined;
  const { body: storageClass } = await client.get<StorageClass>(
    `/apis/storage.k8s.io/v1/storageclasses/${spec.storageClassName}`,
  );
  if (nodeName === undefined && storageClass.volumeBindingMode !== "Immediate") return undefined;
  const key = "topology.kubernetes.io/zone";
  const zone = nodeName && (await client.get(`/api/v1/nodes/${nodeName}`)).body.metadata.labels?.[key];
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
