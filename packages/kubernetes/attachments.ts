import type { NodeRef } from "#core/ports/compute.ts";
import { type PersistentVolume, readClaim, readVolume } from "./claim.ts";
import { holds, type KubeObject, type Node } from "./objects.ts";
import { readNodes } from "./read-nodes.ts";
import type { Place } from "./read-run.ts";

/** The cluster attaches a volume to a node while there is one of these, and takes it off before the object goes. */
interface Attachment extends KubeObject {
  readonly spec: { readonly nodeName: string; readonly source: { readonly persistentVolumeName?: string } };
}

const attachments = "/apis/storage.k8s.io/v1/volumeattachments";

/**
 * After its pod is over, or its pod's object gone, a volume stays on the node until the kubelet has written and unmounted
 * it and the cluster has taken it off: until then a snapshot may lack the last of what was written. Of a node whose
 * object is gone the attachment alone says so.
 */
export async function isAttached(place: Place, volume: PersistentVolume): Promise<boolean> {
  const { csi } = volume.spec;
  if (!csi) return false;
  return (await attachmentsOf(place, volume)).length > 0 || isOnNode(place, csi);
}

/**
 * What the cluster itself does to a node that does not answer, after six minutes: its attachment is given up, and the
 * driver takes the volume off. A node of that name with another uid is another machine.
 */
export async function detach(place: Place, id: string, { name, uid }: NodeRef): Promise<void> {
  const claim = await readClaim(place, id);
  const volume = claim && (await readVolume(place, claim));
  if (!volume) return;
  const there = (await attachmentsOf(place, volume)).filter(({ spec }) => spec.nodeName === name);
  const node =
    there.length > 0 ? await place.client.find<Node>(`/api/v1/nodes/${encodeURIComponent(name)}`) : undefined;
  if (node && node.metadata.uid !== uid) return;
  await removeAttachments(place, there);
}

/**
 * The same for volumes whose pods were taken by force from machines that do not answer. From `held` ones nothing is
 * taken, nor where the node object is gone: its machine may run on, and the cluster waits for it.
 */
export async function detachFromLost(place: Place, volumes: readonly string[], held: readonly string[]): Promise<void> {
  const found = (await listAttachments(place, volumes)).filter(({ spec }) => !held.includes(spec.nodeName));
  const names = [...new Set(found.map(({ spec }) => spec.nodeName))];
  const silent = (await readNodes(place.client, names)).filter((node) => !holds(node, "Ready"));
  const lost = silent.map(({ metadata }) => metadata.name);
  await removeAttachments(
    place,
    found.filter(({ spec }) => lost.includes(spec.nodeName)),
  );
}

async function removeAttachments({ client }: Place, found: readonly Attachment[]): Promise<void> {
  await Promise.all(found.map(({ metadata: { name, uid } }) => client.remove(`${attachments}/${name}`, { uid })));
}

function attachmentsOf(place: Place, { metadata }: PersistentVolume): Promise<readonly Attachment[]> {
  return listAttachments(place, [metadata.name]);
}

async function listAttachments({ client }: Place, volumes: readonly string[]): Promise<readonly Attachment[]> {
  const { items } = await client.list<Attachment, Attachment>(attachments, (one) =>
    volumes.includes(one.spec.source.persistentVolumeName ?? "") ? [one] : [],
  );
  return items;
}

async function isOnNode(
  { client }: Place,
  { driver, volumeHandle }: NonNullable<PersistentVolume["spec"]["csi"]>,
): Promise<boolean> {
  // As the kubelet and the attach/detach controller name it (Kubernetes, NodeStatus of the API reference).
  const name = `kubernetes.io/csi/${driver}^${volumeHandle}`;
  const { items } = await client.list<Node, true>("/api/v1/nodes", ({ status = {} }) => {
    const { volumesInUse = [], volumesAttached = [] } = status;
    return volumesInUse.includes(name) || volumesAttached.some((one) => one.name === name) ? [true] : [];
  });
  return items.length > 0;
}
