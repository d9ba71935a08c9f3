import { type InterruptionKind, interruptionKinds } from "#core/ports/compute.ts";
import type { Node } from "../objects.ts";

/** Taints that tell of a node's end, set by programs that follow the provider's notices or scale the cluster down. */
const taints: Readonly<Record<string, InterruptionKind>> = {
  // https://github.com/aws/aws-node-termination-handler/blob/main/pkg/node/node.go
  "aws-node-termination-handler/spot-itn": "spot",
  "aws-node-termination-handler/rebalance-recommendation": "rebalance",
  "aws-node-termination-handler/scheduled-maintenance": "removal",
  "aws-node-termination-handler/asg-lifecycle-termination": "removal",
  // https://karpenter.sh/docs/concepts/disruption/; before version 1 `karpenter.sh/disruption`.
  "karpenter.sh/disrupted": "removal",
  "karpenter.sh/disruption": "removal",
  ToBeDeletedByClusterAutoscaler: "removal",
  "cloud.google.com/impending-node-termination": "removal",
};

/** Returns the most certain notice that the taints of these nodes show. */
export function findInterruption(nodes: readonly Node[]): InterruptionKind | undefined {
  const found = nodes.flatMap(({ spec }) => (spec.taints ?? []).flatMap(({ key }) => getKind(key) ?? []));
  return found.toSorted((a, b) => interruptionKinds.indexOf(b) - interruptionKinds.indexOf(a))[0];
}

function getKind(key: string): InterruptionKind | undefined {
  return Object.hasOwn(taints, key) ? taints[key] : undefined;
}
