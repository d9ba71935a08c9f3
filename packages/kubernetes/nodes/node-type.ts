import { findInstanceType, type InstanceType, instanceTypeNames } from "#core/fleet.ts";
import type { Node } from "../objects.ts";

/** Says of nodes that carry no label of a cloud which machine of Berth they are (`NODE_TYPES`). */
export interface NodeTypeRule {
  readonly label: string;
  /** null: whatever it is. */
  readonly value: string | null;
  readonly instanceType: string;
}

const typeLabel = "node.kubernetes.io/instance-type";
const zoneLabel = "topology.kubernetes.io/zone";

/** The zone of a node that names none, as on kind and k3s: what is there is all in one place. */
export const noZone = "no-zone";

/** By its own label where Berth knows that type, else by the first rule that fits. */
export function typeOfNode(
  { metadata: { labels = {} } }: Node,
  rules: readonly NodeTypeRule[],
): InstanceType | undefined {
  const ownInstanceType = findInstanceType(labels[typeLabel] ?? "");
  if (ownInstanceType) return ownInstanceType;
  const rule = rules.find(
    ({ label, value }) => labels[label] !== undefined && (value ?? labels[label]) === labels[label],
  );
  return rule && findInstanceType(rule.instanceType);
}

export function zoneOfNode({ metadata: { labels = {} } }: Node): string {
  return labels[zoneLabel] || noZone;
}

interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** Terms of a node selector, of which one has to hold: the nodes that `typeOfNode` takes for this type, in these zones. */
export function termsOfType(
  instanceType: string,
  zones: readonly string[],
  rules: readonly NodeTypeRule[],
): { readonly matchExpressions: readonly Requirement[] }[] {
  const inZone = zones.map((zone) => inOrWithout(zoneLabel, zone));
  const unlabelled: Requirement = { key: typeLabel, operator: "NotIn", values: instanceTypeNames };
  const byRule = rules.flatMap((rule, at) => {
    const earlier = rules.slice(0, at).filter((earlierRule) => earlierRule.instanceType !== rule.instanceType);
    return rule.instanceType === instanceType ? [[unlabelled, ...earlier.map(unlike), like(rule)]] : [];
  });
  const byLabel: Requirement[] = [{ key: typeLabel, operator: "In", values: [instanceType] }];
  return [byLabel, ...byRule].map((requirements) => ({ matchExpressions: [...requirements, ...inZone] }));
}

function inOrWithout(key: string, zone: string): Requirement {
  return zone === noZone ? { key, operator: "DoesNotExist" } : { key, operator: "In", values: [zone] };
}

function like({ label: key, value }: NodeTypeRule): Requirement {
  return value === null ? { key, operator: "Exists" } : { key, operator: "In", values: [value] };
}

/** Holds too where the label is not there at all. */
function unlike({ label: key, value }: NodeTypeRule): Requirement {
  return value === null ? { key, operator: "DoesNotExist" } : { key, operator: "NotIn", values: [value] };
}
