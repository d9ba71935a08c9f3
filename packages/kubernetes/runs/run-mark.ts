import { holds, type Node, type Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";

/** Returns the observed fields of a pod as one text. It begins with a version, so another version never matches. */
export function markOfPod(pod: Pod): string {
  const { state, started, reason, end, deleted } = toMachineStatus(pod);
  const seen = [state, started, reason, end?.exitCode ?? null, deleted, holds(pod, "DisruptionTarget")];
  // A pod loses its Job, or changes it, only if someone edits it by hand. The mark then differs, so the run is
  // observed.
  const owner = pod.metadata.ownerReferences?.find(({ kind }) => kind === "Job")?.uid ?? null;
  return JSON.stringify([2, pod.metadata.uid, owner, ...seen, holds(pod, "Ready"), pod.status?.podIP ?? null]);
}

export function markOfNode(node: Node): string {
  const addresses = (node.status?.addresses ?? []).map(({ type, address }) => [type, address]);
  return JSON.stringify([holds(node, "Ready"), addresses]);
}
