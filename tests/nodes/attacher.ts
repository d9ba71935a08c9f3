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
  /** By the volume's handle. */
  const holders = new Map<string, Attachment>();
  const step = async (name: string): Promise<boolean> => {
    const attachment = found(await client.get<Attachment>(`${attachments}/${name}`));
    if (!attachment) return true;
    if (attachment.metadata.deletionTimestamp !== undefined) {
      // Its PersistentVolume, which has the handle, may be gone by now.
      for (const [handle, holder] of holders) if (holder.metadata.name === name) holders.delete(handle);
      found(await client.patch(`${attachments}/${name}`, { metadata: { finalizers: null } }));
      return true;
    }
    const { persistentVolumeName } = attachment.spec.source;
    const volume = found(await client.get<Volume>(`/api/v1/persistentvolumes/${persistentVolumeName}`));
    const handle = volume?.spec.csi?.volumeHandle ?? "";
    return attachment.status?.attached === true || attach(attachment, handle);
  };
  const attach = async (attachment: Attachment, handle: string): Promise<boolean> => {
    const path = `${attachments}/${attachment.metadata.name}`;
    const node = holders.get(handle)?.spec.nodeName ?? attachment.spec.nodeName;
    const isFree = node === attachment.spec.nodeName;
    if (!isFree || !(await isThere(handle))) {
      const message = isFree ? `volume ${handle} not found` : `volume ${handle} is attached to ${node}`;
      must(await client.patch(`${path}/status`, { status: { attached: false, attachError: { message } } }));
      return false;
    }
    holders.set(handle, attachment);
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
