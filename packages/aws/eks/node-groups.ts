import {
  DescribeNodegroupCommand,
  type EKSClient,
  type Nodegroup,
  paginateListNodegroups,
  ResourceNotFoundException,
  type Taint,
} from "@aws-sdk/client-eks";
import { isAddedType } from "#core/fleet.ts";
import type { Config, readConfig } from "../settings/config.ts";

export type Toleration = ReturnType<typeof readConfig<"NODE_TOLERATIONS">>["NODE_TOLERATIONS"][number];

export type NodeTypeRule = Config["NODE_TYPES"][number];

/** EKS limits DescribeNodegroup for the account, so few run at once. */
const AT_ONCE = 5;

/** Lists the managed node groups of a cluster. Throws if one of them cannot be read. */
export async function listNodeGroups(
  client: EKSClient,
  clusterName: string,
  abortSignal: AbortSignal,
): Promise<Nodegroup[]> {
  const names: string[] = [];
  for await (const { nodegroups = [] } of paginateListNodegroups({ client }, { clusterName }, { abortSignal }))
    names.push(...nodegroups);
  const found: Nodegroup[] = [];
  for (let first = 0; first < names.length; first += AT_ONCE) {
    const some = names.slice(first, first + AT_ONCE);
    found.push(...(await Promise.all(some.map((name) => describe(client, clusterName, name, abortSignal)))).flat());
  }
  return found;
}

/** Returns no group if it was deleted since it was listed. */
async function describe(
  eks: EKSClient,
  clusterName: string,
  nodegroupName: string,
  abortSignal: AbortSignal,
): Promise<Nodegroup[]> {
  try {
    const { nodegroup } = await eks.send(new DescribeNodegroupCommand({ clusterName, nodegroupName }), { abortSignal });
    return nodegroup ? [nodegroup] : [];
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return [];
    throw error;
  }
}

/** Reports whether the machines of a group are of a Capacity Block. */
export function isBlock({ capacityType }: Nodegroup): boolean {
  return capacityType === "CAPACITY_BLOCK";
}

/** Reports whether a group creates machines in its present state. */
export function createsMachines({ status }: Nodegroup): boolean {
  return status === "ACTIVE" || status === "UPDATING" || status === "DEGRADED";
}

const effects: Readonly<Record<string, string>> = { NO_SCHEDULE: "NoSchedule", NO_EXECUTE: "NoExecute" };

/** Applies the rules of the scheduler to a taint of EKS, as packages/kubernetes/nodes/tolerations.ts does for nodes. */
export function isTolerated(taint: Taint, tolerations: readonly Toleration[]): boolean {
  if (taint.effect === "PREFER_NO_SCHEDULE") return true;
  if (taint.key === "nvidia.com/gpu" && taint.effect === "NO_SCHEDULE") return true;
  return tolerations.some(
    ({ key, value, effect }) =>
      key === taint.key &&
      (effect === undefined || effect === effects[taint.effect ?? ""]) &&
      (value === undefined || value === (taint.value ?? "")),
  );
}

/**
 * Returns the machine types of a group. A rule for a type of MACHINE_TYPES counts before the types of AWS, as for nodes
 * (packages/kubernetes/nodes/node-type.ts).
 */
export function listTypes(
  { labels = {}, instanceTypes = [] }: Nodegroup,
  rules: readonly NodeTypeRule[],
): readonly string[] {
  const rule = rules.find(({ label, value, instanceType }) => {
    return isAddedType(instanceType) && labels[label] !== undefined && (value ?? labels[label]) === labels[label];
  });
  return rule ? [rule.instanceType] : instanceTypes;
}

/** Labels that EKS, Kubernetes and their drivers give to nodes. A group does not name them. */
const LABEL_OF_CLUSTER = /^([^/]*\.)?(kubernetes\.io|k8s\.io|k8s\.aws|amazonaws\.com|amazonaws\.com\.cn)\//;

/** Reports whether the machines of a group have these labels. */
export function hasLabels({ labels = {} }: Nodegroup, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(
    ([name, value]) => labels[name] === value || (labels[name] === undefined && LABEL_OF_CLUSTER.test(name)),
  );
}
