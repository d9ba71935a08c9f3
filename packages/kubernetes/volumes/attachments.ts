import type { NodeRef } from "#core/ports/compute.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import { holds, type Node } from "../objects.ts";
import { type ClusterContext, getSharedLists } from "../runs/read-run.ts";
import { type Attachment, attachmentsPath } from "../watch/shared-lists.ts";
import { type PersistentVolume, readClaim, readVolume } from "./claim.ts";

/**
 * Reports whether the volume is on a node. It stays there until the kubelet has flushed it and the cluster has detached
 * it; a snapshot before that may lack the latest writes.
 */
export async function isAttached(place: ClusterContext, volume: PersistentVolume): Promise<boolean> {
  const { csi } = volume.spec;
  if (!csi) return false;
  const lists = getSharedLists(place);
  if ((await lists.attachments([volume.metadata.name])).length > 0) return true;
  // Name that the kubelet and the attach/detach controller use (Kubernetes, NodeStatus of the API reference).
  return lists.isOnNode(`kubernetes.io/csi/${csi.driver}^${csi.volumeHandle}`);
}

/** Detaches a volume from a lost node, as the cluster does after six minutes. Another uid is another machine. */
export async function detach(place: ClusterContext, id: string, { name, uid }: NodeRef): Promise<void> {
  const claim = await readClaim(place, id);
  const volume = claim && (await readVolume(place, claim));
  if (!volume) return;
  const attached = await getSharedLists(place).attachments([volume.metadata.name]);
  const there = attached.filter(({ nodeName }) => nodeName === name);
  const node =
    there.length > 0 ? await place.client.find<Node>(`/api/v1/nodes/${encodeURIComponent(name)}`) : undefined;
  if (node && node.metadata.uid !== uid) return;
  await removeAttachments(place, there);
}

/** Detaches volumes after a forced deletion. Skips `held` nodes, and missing ones, which may run on. */
export async function detachFromLost(
  place: ClusterContext,
  volumes: readonly string[],
  held: readonly string[],
): Promise<void> {
  const found = (await getSharedLists(place).attachments(volumes)).filter(({ nodeName }) => !held.includes(nodeName));
  const names = [...new Set(found.map(({ nodeName }) => nodeName))];
  const silent = (await readNodes(place.client, names)).filter((node) => !holds(node, "Ready"));
  const lost = silent.map(({ metadata }) => metadata.name);
  await removeAttachments(
    place,
    found.filter(({ nodeName }) => lost.includes(nodeName)),
  );
}

async function removeAttachments({ client }: ClusterContext, found: readonly Attachment[]): Promise<void> {
  await Promise.all(found.map(({ name, uid }) => client.remove(`${attachmentsPath}/${name}`, { uid })));
}
