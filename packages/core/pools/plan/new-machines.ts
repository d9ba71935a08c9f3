import type { PoolPart, Share } from "../../ports/compute.ts";
import { isWholeType, zonesIn } from "../capacity/pool-parts.ts";
import type { FreeNode } from "./free-units.ts";
import type { Occupied, PlanInput } from "./plan.ts";
import type { Zoned } from "./zones.ts";

/** The machines that one node group may still create. */
export interface NewMachines {
  /** The group's name. Absent for a group of NODE_GROUPS. */
  readonly group?: string | undefined;
  /** Set if a run may name the group, so that no other creates its machines. */
  readonly isSelectable?: true | undefined;
  /** Set if it lacked machines lately. They may be granted, but are not shown as free. */
  readonly isLacking?: true | undefined;
  readonly count: number;
  /** The zones in which the group creates them. It chooses among several itself. Empty: any zone. */
  readonly zones: readonly string[];
  /** Further zones, which are drained: shares that wait there count on this group. */
  readonly closedZones?: readonly string[] | undefined;
  /** How long the group's recent machines took to start, ms. Absent before three have: as others of the type. */
  readonly startupMs?: number | undefined;
  /** When they close by a planned drain (closings.ts), ms. */
  readonly closesAt?: number | undefined;
  /** When the group may create them first, ms, if that is later. `occupied` has them until then. */
  readonly startsAt?: number | undefined;
}

/** Returns the machines that the group creates outside of these parts, or undefined if it creates none there. */
export function machinesOutside(parts: readonly PoolPart[], machines: NewMachines): NewMachines | undefined {
  const isDrained = (part: PoolPart) =>
    isWholeType(part) || (part.nodeGroup !== undefined && part.nodeGroup === machines.group);
  return parts.some(isDrained) ? undefined : machinesOutsideZones(zonesIn(parts), machines);
}

export function machinesOutsideZones(drained: readonly string[], machines: NewMachines): NewMachines | undefined {
  if (machines.zones.length === 0 || drained.length === 0) return machines;
  const zones = machines.zones.filter((zone) => !drained.includes(zone));
  if (zones.length === 0) return undefined;
  const closed = machines.zones.filter((zone) => drained.includes(zone));
  return { ...machines, zones, closedZones: [...(machines.closedZones ?? []), ...closed] };
}

/** Returns where the group may create machines at some time. A zone that lacks machines now may have some later. */
export function getPlace({ zones }: NewMachines, drainedZones: readonly string[] = []): Zoned {
  return zones.length > 0 ? { zone: null, zones } : { zone: null, lacking: drainedZones };
}

/** Returns all zones that groups name. */
export function listNewZones(makeable: readonly NewMachines[]): string[] {
  return [...new Set(makeable.flatMap(({ zones }) => zones))].sort();
}

/** Reports whether the group may create machines now. */
export function hasStarted({ startsAt }: NewMachines): boolean {
  return startsAt === undefined;
}

/** Reports whether a group may create machines in this zone. */
export function isMadeIn(makeable: readonly NewMachines[], zone: string): boolean {
  return makeable.some(({ zones }) => zones.length === 0 || zones.includes(zone));
}

/** A share that waits for a machine, and when its job ends, ms. */
export interface OpenShare {
  readonly share: Share;
  readonly endsAt: number;
  /** Set if it stands for the rest of a machine that does not come now. */
  readonly isPlaceholder?: true | undefined;
}

/** A machine still to be created. `zone` is set once its zone is known. */
interface Slot {
  readonly machines: NewMachines;
  zone: string | null;
  free: number;
}

type Growth = Pick<
  PlanInput,
  "makeable" | "drainedZones" | "zonesCloseAt" | "lackingZones" | "scarceZones" | "retryAt" | "unitsPerNode"
>;

/**
 * Returns the machines still to be created less these shares, and the index of the machine on which each share counts. A
 * share for a zone fixes the zone of its machine. Shares for a node group are placed first, then those for a zone, on the
 * groups with the fewest zones: the others can be anywhere. Among equal shares the largest come first, because small
 * ones could take their room. Placeholders come last, because they fill what the others leave.
 */
export function placeOpenShares(
  input: Growth,
  open: readonly OpenShare[],
): { readonly nodes: readonly FreeNode[]; readonly indexes: ReadonlyMap<Share, number> } {
  const slots = input.makeable.flatMap((machines) =>
    Array.from({ length: machines.count }, (): Slot => {
      const { zones, closedZones = [] } = machines;
      const [zone = null] = zones;
      return { machines, zone: zones.length + closedZones.length === 1 ? zone : null, free: input.unitsPerNode };
    }),
  );
  const indexes = new Map<Share, number>();
  const freedom = ({ share: { zone, group }, isPlaceholder }: OpenShare) =>
    (isPlaceholder ? 4 : 0) + (group === undefined ? 2 : 0) + (zone === undefined ? 1 : 0);
  const sorted = open.toSorted((a, b) => freedom(a) - freedom(b) || b.share.units - a.share.units);
  for (const { share, endsAt, isPlaceholder } of sorted) {
    const isOpen = ({ machines: { startsAt, group } }: Slot) =>
      startsAt === undefined || (isPlaceholder && group === share.group);
    const usable = slots.filter(isOpen);
    const stays = usable.filter(({ machines }) => endsAt <= (machines.closesAt ?? Infinity));
    const slot = findSlot(stays, share) ?? (stays.length < usable.length ? findSlot(usable, share) : undefined);
    if (!slot) continue;
    slot.free -= share.units;
    slot.zone = share.zone ?? slot.zone;
    indexes.set(share, slots.indexOf(slot));
  }
  return { nodes: slots.map((slot) => toFreeNode(input, slot)), indexes };
}

/** A share of a group that is not among these counts on any other, for example because NODE_GROUPS has replaced it. */
function findSlot(slots: readonly Slot[], { units, zone, group }: Share): Slot | undefined {
  const ofGroup = group === undefined ? [] : slots.filter(({ machines }) => machines.group === group);
  const fitting = (ofGroup.length > 0 ? ofGroup : slots).filter((slot) => slot.free >= units);
  if (zone === undefined) return fitting[0];
  const inZone = fitting.filter(({ zone: fixed, machines: { zones, closedZones = [] } }) => {
    return fixed === null ? zones.length === 0 || [...zones, ...closedZones].includes(zone) : fixed === zone;
  });
  const countZones = ({ zone: fixed, machines: { zones } }: Slot) => (fixed === null ? zones.length || Infinity : 1);
  const fewest = Math.min(...inZone.map(countZones));
  return inZone.find((slot) => countZones(slot) === fewest);
}

/**
 * Returns the machine with the zones in which it can be created now. While none comes in any zone, `occupied` has them
 * until the next try, which may be in each: a start then can be reserved.
 */
function toFreeNode(
  { drainedZones = [], lackingZones, scarceZones, retryAt, zonesCloseAt }: Growth,
  { machines, zone, free: left }: Slot,
): FreeNode {
  const { group, isSelectable, isLacking, startupMs, closesAt, startsAt } = machines;
  const free = startsAt === undefined ? left : 0;
  const lacking = lackingZones && retryAt === undefined && startsAt === undefined ? [...lackingZones.keys()] : [];
  const closed = [...drainedZones, ...lacking];
  const traits = {
    ...(isSelectable && { isSelectable }),
    ...(isLacking && { isLacking }),
    ...(scarceZones && { scarceZones }),
  };
  const node = { name: null, zone, group, startupMs, ...traits, free, closesAt, zonesCloseAt };
  const zones = machines.zones.filter((name) => !lacking.includes(name));
  const named = machines.zones.length > 0 ? { zones } : {};
  if (zone !== null) return fixZone({ ...node, ...named, free: closed.includes(zone) ? 0 : free }, zone);
  if (machines.zones.length === 0) return closed.length > 0 ? { ...node, lacking: closed } : node;
  return { ...node, zones, free: zones.length === 0 ? 0 : free };
}

/**
 * Returns a machine still to be created that must come in this zone. It closes with the zone. It keeps its `zones`: each
 * is one where the pool can have machines, for jobs of several that look for a zone.
 */
export function fixZone({ lacking: _, zonesCloseAt, closesAt, ...node }: FreeNode, zone: string): FreeNode {
  const times = [closesAt, zonesCloseAt?.get(zone)].filter((at) => at !== undefined);
  return { ...node, zone, closesAt: times.length > 0 ? Math.min(...times) : undefined };
}

export interface AllNodes {
  /** Existing nodes less occupied units, then nodes still to be created less unpinned shares. */
  readonly nodes: readonly FreeNode[];
  /** The index of the node still to be created, by unpinned share. */
  readonly unpinned: Map<Share, number>;
}

/** Returns the nodes of a plan with the free units of each. */
export function allNodes(
  input: Pick<
    PlanInput,
    "nodes" | "makeable" | "drainedZones" | "zonesCloseAt" | "lackingZones" | "scarceZones" | "retryAt" | "unitsPerNode"
  > & { readonly occupied: readonly (Pick<Occupied, "shares"> & Partial<Occupied>)[] },
): AllNodes {
  const indexes = new Map(input.nodes.map(({ name }, index) => [name, index]));
  const used = new Int32Array(input.nodes.length);
  const open: OpenShare[] = [];
  for (const { shares, endsAt, at = 0, size, isPlaceholder } of input.occupied) {
    for (const share of shares) {
      if (share.node === null) open.push({ share, endsAt: endsAt ?? at + (size?.wantedMs ?? 0), isPlaceholder });
      const index = share.node === null ? undefined : indexes.get(share.node);
      if (index !== undefined) used[index] = (used[index] ?? 0) + share.units;
    }
  }
  const existing = input.nodes.map(({ name, zone, group, units, closesAt, images }, index) => ({
    name,
    zone,
    group,
    free: units - (used[index] ?? 0),
    closesAt,
    images,
  }));
  const created = placeOpenShares(input, open);
  const unpinned = new Map([...created.indexes].map(([share, index]) => [share, existing.length + index]));
  return { nodes: [...existing, ...created.nodes], unpinned };
}
