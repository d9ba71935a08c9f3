import type { PoolPart } from "../../ports/compute.ts";
import { mark, number, optional, shape, text } from "../../store/shape.ts";
import type { GroupGrowth } from "../ledger/record.ts";
import type { Growth } from "./groups.ts";

/** A part that is drained at the time `from`, ms. */
export interface PlannedPart extends PoolPart {
  readonly from: number;
  /** Set if the provider ends its machines then. Otherwise an operator planned it. */
  readonly byProvider?: true | undefined;
}

const part = { zone: optional(text), nodeGroup: optional(text), node: optional(text) };
export const isPoolPart = shape<PoolPart>(part);
export const isPlannedPart = shape<PlannedPart>({ ...part, from: number, byProvider: mark });

interface Placed {
  readonly name: string;
  readonly zone: string;
  readonly group?: string | undefined;
}

/** Reports whether the machine is in one of the parts. */
export function isInParts(parts: readonly PoolPart[], { name, zone, group = "" }: Placed): boolean {
  return parts.some(
    (part) => isWholeType(part) || part.node === name || part.zone === zone || part.nodeGroup === group,
  );
}

export function isWholeType({ zone, nodeGroup, node }: PoolPart): boolean {
  return zone === undefined && nodeGroup === undefined && node === undefined;
}

export function isSamePart(a: PoolPart, b: PoolPart): boolean {
  return a.zone === b.zone && a.nodeGroup === b.nodeGroup && a.node === b.node;
}

/** Adds parts that are not in the list yet. Leaves out drains of the whole type. */
export function addParts(parts: readonly PoolPart[] = [], more: readonly PoolPart[]): readonly PoolPart[] {
  const added = more.filter((part) => !isWholeType(part) && !parts.some((known) => isSamePart(known, part)));
  return [...parts, ...added.map(toPart)];
}

/** Returns the part without other fields. */
export function toPart({ zone, nodeGroup, node }: PoolPart): PoolPart {
  if (node !== undefined) return { node };
  if (zone !== undefined) return { zone };
  return nodeGroup === undefined ? {} : { nodeGroup };
}

/** Returns the parts on which a job must not start that ends at `endsAt`, ms. */
export function partsClosedTo(
  {
    drained = [],
    plannedDrains = [],
  }: {
    readonly drained?: readonly PoolPart[] | undefined;
    readonly plannedDrains?: readonly PlannedPart[] | undefined;
  },
  endsAt: number,
): readonly PoolPart[] {
  return [...drained, ...plannedDrains.filter(({ from }) => from < endsAt).map(toPart)];
}

export function zonesIn(parts: readonly PoolPart[]): string[] {
  return parts.flatMap(({ zone }) => zone ?? []);
}

/** Reports whether all machines of this node group are in the parts. */
export function isGroupIn(parts: readonly PoolPart[], { name, zones }: Pick<GroupGrowth, "name" | "zones">): boolean {
  const drainedZones = zonesIn(parts);
  const isInZones = zones.length > 0 && zones.every((zone) => drainedZones.includes(zone));
  return isInZones || parts.some(({ nodeGroup }) => nodeGroup === name);
}

/** Returns the growth outside of the parts, or undefined if machines are created only in them. */
function growthOutside(parts: readonly PoolPart[], growth: Growth, now: number): Growth | undefined {
  if (parts.some(isWholeType)) return undefined;
  const { members = [] } = growth;
  const drainedZones = zonesIn(parts);
  const drained = members.filter((member) => isGroupIn(parts, member));
  if (drained.length === 0) return outsideOfZones(drainedZones, growth);
  const left = members.filter((member) => !drained.includes(member) && (member.startsAt ?? now) <= now);
  if (left.length === 0) return undefined;
  const zones = [...new Set(left.flatMap((member) => member.zones))].sort();
  return outsideOfZones(drainedZones, { ...growth, zones });
}

/**
 * Reports whether new machines may come outside of the parts now, in this zone and of this node group. Zone null: any
 * zone. Group undefined: any group. Growth undefined: it is unknown.
 */
export function isMadeOutside(
  parts: readonly PoolPart[],
  growth: Growth | undefined,
  { zone, group }: { readonly zone: string | null; readonly group: string | undefined },
  now: number,
): boolean {
  if (parts.length === 0) return true;
  if (parts.some((part) => isWholeType(part) || (group !== undefined && part.nodeGroup === group))) return false;
  if (zone !== null && zonesIn(parts).includes(zone)) return false;
  if (!growth) return true;
  const open = growthOutside(parts, growth, now);
  return open !== undefined && (zone === null || open.zones.length === 0 || open.zones.includes(zone));
}

function outsideOfZones(drained: readonly string[], growth: Growth): Growth | undefined {
  const zones = growth.zones.filter((zone) => !drained.includes(zone));
  return growth.zones.length > 0 && zones.length === 0 ? undefined : { ...growth, zones };
}
