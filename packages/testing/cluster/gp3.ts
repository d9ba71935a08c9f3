import { randomBytes } from "node:crypto";
import type { KubeClient, KubeObject } from "./client.ts";
import { follow } from "./watch.ts";

const driver = "ebs.csi.aws.com";

interface Claim extends KubeObject {
  readonly spec: {
    readonly volumeName?: string;
    readonly storageClassName: string;
    readonly accessModes: readonly string[];
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

interface Volume extends KubeObject {
  readonly spec: { readonly persistentVolumeReclaimPolicy: string };
  readonly status: { readonly phase: string };
}

/**
 * What the EBS driver's provisioner does: a claim whose first pod was scheduled gets a volume in that node's zone, and
 * a released volume of the policy `Delete` goes. The real controllers bind it.
 */
export function provisionGp3(client: KubeClient, signal: AbortSignal): Promise<unknown> {
  const volumes = "/api/v1/persistentvolumes";
  const provision = async (claim: Claim) => {
    const volume = await volumeFor(client, claim);
    // A second event of the same claim finds it made: the name comes from the claim.
    if (volume !== undefined) await client.post(volumes, volume);
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
        void client.remove(`${volumes}/${metadata.name}`).catch(() => {});
      },
      signal,
    ),
  ]);
}

async function volumeFor(client: KubeClient, { metadata, spec }: Claim): Promise<object | undefined> {
  const annotations = metadata.annotations ?? {};
  const nodeName = annotations["volume.kubernetes.io/selected-node"];
  const isOurs = annotations["volume.kubernetes.io/storage-provisioner"] === driver;
  if (!isOurs || nodeName === undefined || spec.volumeName !== undefined) return undefined;
  const [node, storageClass] = await Promise.all([
    client.get(`/api/v1/nodes/${nodeName}`),
    client.get<{ reclaimPolicy: string }>(`/apis/storage.k8s.io/v1/storageclasses/${spec.storageClassName}`),
  ]);
  const key = "topology.kubernetes.io/zone";
  const zone = node.body.metadata.labels?.[key];
  return {
    metadata: { name: `pvc-${metadata.uid}`, annotations: { "pv.kubernetes.io/provisioned-by": driver } },
    spec: {
      capacity: { storage: spec.resources.requests.storage },
      accessModes: spec.accessModes,
      volumeMode: "Filesystem",
      storageClassName: spec.storageClassName,
      persistentVolumeReclaimPolicy: storageClass.body.reclaimPolicy,
      claimRef: {
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
      },
      csi: { driver, volumeHandle: `vol-0${randomBytes(8).toString("hex")}`, fsType: "ext4" },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key, operator: "In", values: [zone] }] }] },
      },
    },
  };
}
