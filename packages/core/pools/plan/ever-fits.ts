import type { FreeNode, Need } from "./free-units.ts";
import { getPlace } from "./new-machines.ts";
import type { PlanInput, PlanNode } from "./plan.ts";
import { isInZone, zonesToTry } from "./zones.ts";

/** Reports whether a need fits on empty machines. */
export function canEverFit(nodes: readonly FreeNode[], input: PlanInput, need: Need): boolean {
  if (nodes.length === 0 || need.units > input.unitsPerNode) return false;
  return zonesFor(input, need).some((zone) => hasMachines(input, { ...need, zone }));
}

function zonesFor(input: PlanInput, need: Need): readonly (string | null)[] {
  return zonesToTry(need, [...input.nodes, ...input.makeable.map((group) => getPlace(group, input.drainedZones))]);
}

function hasMachines(input: PlanInput, { machines, units, zone }: Need): boolean {
  let fitting = 0;
  for (const group of input.makeable) {
    if (isInZone(getPlace(group, input.drainedZones), zone)) fitting += group.count;
  }
  for (const node of input.nodes) {
    if (fitting >= machines) return true;
    if (node.units >= units && isInZone(node, zone)) fitting += 1;
  }
  return fitting >= machines;
}

export function withoutForeign(node: PlanNode): PlanNode {
  return node.foreign ? { ...node, units: node.units + node.foreign, foreign: 0 } : node;
}

/** Reports whether a need may fit once the machines with unreadable ledger items count. */
export function mayFitUnread(nodes: readonly FreeNode[], input: PlanInput, need: Need): boolean {
  const { unreadable = 0 } = input;
  if (unreadable === 0) return false;
  // An unreadable machine may be in a zone that no other names.
  const unnamed = need.machines > 1 && need.zone === null ? [""] : [];
  return [...zonesFor(input, need), ...unnamed].some((zone) => {
    const unread = { name: "", zone: zone ?? "", units: input.unitsPerNode, free: 0 };
    const more = Array.from({ length: unreadable }, () => unread);
    return canEverFit([...nodes, unread], { ...input, nodes: [...input.nodes, ...more] }, { ...need, zone });
  });
}
