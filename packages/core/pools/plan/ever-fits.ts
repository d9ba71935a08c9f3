import type { FreeNode, Need } from "./free-units.ts";
import type { PlanInput, PlanNode } from "./plan.ts";
import { isInZone, type Zoned, zonesToTry } from "./zones.ts";

/** Reports whether a need fits on empty machines. */
export function canEverFit(nodes: readonly FreeNode[], input: PlanInput, need: Need): boolean {
  if (nodes.length === 0 || need.units > input.unitsPerNode) return false;
  return zonesFor(input, need).some((zone) => hasMachines(input, { ...need, zone }));
}

function zonesFor(input: PlanInput, need: Need): readonly (string | null)[] {
  return zonesToTry(need, input.makeable > 0 ? [...input.nodes, madeIn(input)] : input.nodes);
}

function hasMachines(input: PlanInput, { machines, units, zone }: Need): boolean {
  let fitting = isInZone(madeIn(input), zone) ? input.makeable : 0;
  for (const node of input.nodes) {
    if (fitting >= machines) return true;
    if (node.units >= units && isInZone(node, zone)) fitting += 1;
  }
  return fitting >= machines;
}

/** Zones that lack machines now may have some later. */
function madeIn({ makeableZones = [], drainedZones }: PlanInput): Zoned {
  return zoneOfNew({ makeableZones, drainedZones });
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

/**
 * Returns the zone of machines still to be created, or the zones in which they can be created now. While none comes in
 * any zone, `occupied` has them until the next try, which may be in each: a start then can be reserved.
 */
export function zoneOfNew({
  makeableZones = [],
  drainedZones = [],
  lackingZones,
  retryAt,
}: Pick<PlanInput, "makeableZones" | "drainedZones" | "lackingZones" | "retryAt">): Zoned {
  const [zone = null] = makeableZones;
  if (makeableZones.length === 1) return { zone };
  const lacking = lackingZones && retryAt === undefined ? [...lackingZones.keys()] : [];
  const zones = makeableZones.filter((name) => !lacking.includes(name));
  if (makeableZones.length > 0) return { zone: null, zones };
  const without = [...drainedZones, ...lacking];
  return without.length > 0 ? { zone: null, lacking: without } : { zone: null };
}
