import type { KubeClient, KubeObject } from "../cluster/client.ts";
import { controllerWork } from "../cluster/controller-work.ts";
import { found, must } from "../cluster/objects.ts";
import { follow } from "../cluster/watch.ts";

const attachments = "/apis/storage.k8s.io/v1/volumeattachments";
const finalizer = "external-attacher/ebs-csi-aws-com";

interface Attachment extends KubeObject {
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName: string } };
  readonly status?: { readonly attached?: boolean };
}

interface Volume extends KubeObject {
  readonly spec: { readonly csi?: { readonly volumeHandle: string } };
}

/**
 * Does what external-attacher does with EC2: a volume is on one node at a time, and its attachment goes only once it is
 * detached. The releases of external-attacher at the module proxy need a newer Kubernetes.
 */
export function attachVolumes(
  client: KubeClient,
  isThere: (handle: string) => Promise<boolean>,
  signal: AbortSignal,
): Promise<void> {
  const work = controllerWork(signal);
  /** Name of the node by the volume's handle. */
  const holders = new Map<string, string>();
  const step = async (name: string): Promise<boolean> => {
    const attachment = found(await client.get<Attachment>(`${attachments}/${name}`));
    if (!attachment) return true;
    const { persistentVolumeName } = attachment.spec.source;
    const volume = found(await client.get<Volume>(`/api/v1/persistentvolumes/${persistentVolumeName}`));
    const handle = volume?.spec.csi?.volumeHandle ?? "";
    if (attachment.metadata.deletionTimestamp !== undefined) {
      if (holders.get(handle) === attachment.spec.nodeName) holders.delete(handle);
      found(await client.patch(`${attachments}/${name}`, { metadata: { finalizers: null } }));
      return true;
    }
    return attachment.status?.attached === true || attach(attachment, handle);
  };
  const attach = async ({ metadata, spec }: Attachment, handle: string): Promise<boolean> => {
    const path = `${attachments}/${metadata.name}`;
    const holder = holders.get(handle) ?? spec.nodeName;
    const isFree = holder === spec.nodeName;
    if (!isFree || !(await isThere(handle))) {
      const message = isFree ? `volume ${handle} not found` : `volume ${handle} is attached to ${holder}`;
      must(await client.patch(`${path}/status`, { status: { attached: false, attachError: { message } } }));
      return false;
    }
    holders.set(handle, spec.nodeName);
    must(await client.patch(path, { metadata: { finalizers: [finalizer] } }));
    must(await client.patch(`${path}/status`, { status: { attached: true, attachError: null } }));
    return true;
  };
  return follow<Attachment>(
    client,
    attachments,
    (type, { metadata }) => {
      if (type !== "DELETED") work(metadata.name, () => step(metadata.name));
    },
    signal,
  );
}
