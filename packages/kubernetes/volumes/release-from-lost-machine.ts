import type { Compute, NodeRef } from "#core/ports/compute.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import { holds, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { archiveLabel } from "./archive-job.ts";
import { detachFromLost } from "./attachments.ts";
import type { Claim } from "./claim.ts";

/**
 * Deletes the pods of an archive Job on a lost machine, where no kubelet confirms their end. A machine is lost if its
 * node does not answer and the cloud provider says that it is gone. Returns a machine that may still exist.
 */
export async function releaseFromLostMachine(
  place: ClusterContext,
  name: string,
  getMachine: Compute["getMachineState"],
): Promise<NodeRef | undefined> {
  const { client, paths } = place;
  const path = `${paths.pods}?labelSelector=${encodeURIComponent(`${archiveLabel}=${name}`)}`;
  let waits: NodeRef | undefined;
  const { items: pods } = await client.list<Pod, Pod>(path, (pod) => (isOver(pod) ? [] : [pod]));
  for (const node of await readNodes(client, [...new Set(pods.flatMap(({ spec }) => spec.nodeName ?? []))])) {
    const { name: nodeName, uid } = node.metadata;
    if (holds(node, "Ready")) continue;
    const machine = { name: nodeName, uid, providerId: node.spec.providerID ?? null };
    if ((await getMachine(machine)) !== "gone") {
      waits = machine;
      continue;
    }
    const lost = pods.filter(({ spec }) => spec.nodeName === nodeName);
    // Read first: a claim that is being removed goes with its last pod.
    const volumes = await listVolumes(place, lost);
    await Promise.all(
      lost.map(({ metadata }) =>
        client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: 0 }),
      ),
    );
    await detachFromLost(place, volumes, []);
  }
  return waits;
}

function isOver({ status, spec }: Pod): boolean {
  return spec.nodeName === undefined || status?.phase === "Succeeded" || status?.phase === "Failed";
}

async function listVolumes({ client, paths }: ClusterContext, pods: readonly Pod[]): Promise<string[]> {
  const names = pods.flatMap(({ spec }) =>
    (spec.volumes ?? []).flatMap((volume) => volume.persistentVolumeClaim ?? []),
  );
  const claims = await Promise.all(names.map(({ claimName }) => client.find<Claim>(`${paths.claims}/${claimName}`)));
  return claims.flatMap((claim) => claim?.spec.volumeName ?? []);
}
