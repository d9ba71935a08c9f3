import { sightOf } from "./machine-sight.ts";
import { holds, type Node, type Pod } from "./objects.ts";

/** What an observation says of a pod, as one text. Another version says it in another way, and is then not believed. */
export function markOfPod(pod: Pod): string {
  const { state, started, reason, end, deleted } = sightOf(pod);
  const seen = [state, started, reason, end?.exitCode ?? null, deleted, holds(pod, "DisruptionTarget")];
  return JSON.stringify([1, pod.metadata.uid, ...seen, holds(pod, "Ready"), pod.status?.podIP ?? null]);
}

/** The same of its node. */
export function markOfNode(node: Node): string {
  const addresses = (node.status?.addresses ?? []).map(({ type, address }) => [type, address]);
  return JSON.stringify([holds(node, "Ready"), addresses]);
}
