import { holds, type Node, type Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";

/** What an observation says of a pod, as one text. Another version says it in another way, and is then not believed. */
export function markOfPod(pod: Pod): string {
  const { state, started, reason, end, deleted } = toMachineStatus(pod);
  const seen = [state, started, reason, end?.exitCode ?? null, deleted, holds(pod, "DisruptionTarget")];
  // A pod goes without its Job, or to another one, where somebody deletes that by hand: then it is to be observed.
  const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === "Job")?.uid ?? null;
  return JSON.stringify([2, pod.metadata.uid, owner, ...seen, holds(pod, "Ready"), pod.status?.podIP ?? null]);
}

/** The same of its node. */
export function markOfNode(node: Node): string {
  const addresses = (node.status?.addresses ?? []).map(({ type, address }) => [type, address]);
  return JSON.stringify([holds(node, "Ready"), addresses]);
}
