import { findInstanceType, type InstanceType, instanceTypeNames, isAddedType } from "#core/fleet.ts";
import type { PoolPart } from "#core/ports/compute.ts";
import type { Node } from "../objects.ts";

/**
 * Rule that maps nodes with a label to an instance type of Berth (`NODE_TYPES`). The node's own type counts before it,
 * but not before a type of `MACHINE_TYPES`: machines of one type of AWS may have MIG or not.
 */
export interface NodeTypeRule {
  readonly label: string;
  /** null: any value. */
  readonly value: string | null;
  readonly instanceType: string;
}

const typeLabel = "node.kubernetes.io/instance-type";
const zoneLabel = "topology.kubernetes.io/zone";

/** The label that EKS gives to nodes of a managed group (EKS User Guide, "Managed node groups"). */
export const groupLabel = "eks.amazonaws.com/nodegroup";

/** Zone of a node without a zone label, as on kind and k3s. */
export const noZone = "no-zone";

/** Returns the type that the first matching rule or the node's own label names, or undefined if Berth knows none. */
export function typeOfNode(
  { metadata: { labels = {} } }: Node,
  rules: readonly NodeTypeRule[],
): InstanceType | undefined {
  const matching = rules.filter(
    ({ label, value }) => labels[label] !== undefined && (value ?? labels[label]) === labels[label],
  );
  const before = matching.find(countsBeforeOwnType);
  if (before) return findInstanceType(before.instanceType);
  return findInstanceType(labels[typeLabel] ?? "") ?? findInstanceType(matching[0]?.instanceType ?? "");
}

function countsBeforeOwnType({ instanceType }: NodeTypeRule): boolean {
  return isAddedType(instanceType);
}

export function zoneOfNode({ metadata: { labels = {} } }: Node): string {
  return labels[zoneLabel] || noZone;
}

interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

interface Term {
  readonly matchExpressions: readonly Requirement[];
  readonly matchFields?: readonly Requirement[];
}

/**
 * Returns selector terms, one of which must match: nodes that `typeOfNode` assigns to this type, in these zones and
 * outside of the parts in `avoids`.
 */
export function termsOfType(
  instanceType: string,
  zones: readonly string[],
  rules: readonly NodeTypeRule[],
  avoids: readonly PoolPart[] = [],
): Term[] {
  const outside = avoids.flatMap(({ zone, nodeGroup }): Requirement[] => {
    if (nodeGroup !== undefined) return [{ key: groupLabel, operator: "NotIn", values: [nodeGroup] }];
    return zone === undefined ? [] : [outOfZone(zone)];
  });
  // Kubernetes takes one value in each requirement on a node's name.
  const names = avoids.flatMap(({ node }) => (node === undefined ? [] : [unnamed(node)]));
  const inZone = zones.map((zone) => inOrWithout(zoneLabel, zone));
  const unlabelled: Requirement = { key: typeLabel, operator: "NotIn", values: instanceTypeNames };
  const [before, after] = [rules.filter(countsBeforeOwnType), rules.filter((rule) => !countsBeforeOwnType(rule))];
  const ordered = [...before, ...after];
  const byRule = ordered.flatMap((rule, at) => {
    if (rule.instanceType !== instanceType) return [];
    const own = countsBeforeOwnType(rule) ? [] : [unlabelled];
    return [[...own, ...unlikeOthers(ordered.slice(0, at), instanceType), like(rule)]];
  });
  const ofAws: Requirement = { key: typeLabel, operator: "In", values: [instanceType] };
  const byLabel = [ofAws, ...unlikeOthers(before, instanceType)];
  return [byLabel, ...byRule].map((requirements) => ({
    matchExpressions: [...requirements, ...inZone, ...outside],
    ...(names.length > 0 && { matchFields: names }),
  }));
}

/** Requires the node group of a machine still to be created. */
export function inGroup(group: string): Requirement {
  return { key: groupLabel, operator: "In", values: [group] };
}

function unlikeOthers(rules: readonly NodeTypeRule[], instanceType: string): Requirement[] {
  return rules.filter((rule) => rule.instanceType !== instanceType).map(unlike);
}

function outOfZone(zone: string): Requirement {
  const key = zoneLabel;
  return zone === noZone ? { key, operator: "Exists" } : { key, operator: "NotIn", values: [zone] };
}

function unnamed(node: string): Requirement {
  return { key: "metadata.name", operator: "NotIn", values: [node] };
}

function inOrWithout(key: string, zone: string): Requirement {
  return zone === noZone ? { key, operator: "DoesNotExist" } : { key, operator: "In", values: [zone] };
}

function like({ label: key, value }: NodeTypeRule): Requirement {
  return value === null ? { key, operator: "Exists" } : { key, operator: "In", values: [value] };
}

/** Matches nodes without the label too. */
function unlike({ label: key, value }: NodeTypeRule): Requirement {
  return value === null ? { key, operator: "DoesNotExist" } : { key, operator: "NotIn", values: [value] };
}
