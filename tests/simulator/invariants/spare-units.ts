import { instanceTypeOfPool, unitsPerNode } from "#core/fleet.ts";
import type { Grant, NodeLedger } from "#core/pools/ledger/record.ts";
import type { Share } from "#core/ports/compute.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import type { ListedGroup } from "../weather/node-group.ts";

interface Judgements extends Readonly<Record<"uses" | "isUnpinned", (entry: Pick<Grant, "uid" | "run">) => boolean>> {
  readonly isFresh: (entry: Pick<Grant, "id">) => boolean;
  /** Returns the zone of the environment's disk, if it has one. */
  readonly findZone: (entry: Pick<Grant, "uid">) => string | undefined;
  /** Returns how many machines listed groups may still create for a share. Absent if none is listed. */
  readonly findRoom?: (share: Share) => number;
}

/** Returns the units that a pool's group may still create, minus those that unpinned grants need beyond its machines. */
export function spareUnits(
  { type, nodes, granted, held }: PoolView,
  mostNodes: number,
  { uses, isUnpinned, isFresh, findZone, findRoom }: Judgements,
): number {
  const present = nodes.filter(({ gone }) => !gone);
  const toMake = Math.max(0, mostNodes - present.length);
  // The cluster may bind a run where another was granted. Only one of them runs there.
  const freeOn = (node: NodeLedger) => Math.max(0, node.units - unitsIn([...node.granted, ...node.held].filter(uses)));
  /** A machine may have come in another zone, or for another run. The run then waits until one of the others goes. */
  const mayCome = ({ shares, size }: Grant) => {
    const open = shares.filter(({ node }) => node === null);
    const [first] = open;
    const near = present.filter(
      ({ zone, group }) => zone === (first?.zone ?? zone) && group === (first?.group ?? group),
    );
    const room = Math.min(toMake, (first && findRoom?.(first)) ?? toMake);
    return near.filter((node) => freeOn(node) >= size.units).length + room >= open.length;
  };
  // Two planners may grant the same run, which takes one of the grants. Only the unpinned grants count here.
  const counted = [...granted, ...held].filter((entry) => isUnpinned(entry) && (isFresh(entry) || mayCome(entry)));
  const entries = counted.toSorted((a, b) => unitsIn(listUnpinned(b)) - unitsIn(listUnpinned(a)));
  const users = [...new Map(entries.map((entry) => [entry.uid, entry])).values()];
  const wanted = users.flatMap((entry) => listUnpinned(entry).map((share) => ({ zone: findZone(entry), ...share })));
  const free = new Map<string, number>();
  for (const node of present) free.set(node.zone, (free.get(node.zone) ?? 0) + freeOn(node));
  return toMake * unitsPerNode(instanceTypeOfPool(type)) - countMissing(wanted, free);
}

/**
 * Returns the machines that groups may still create, minus those that unpinned grants need beyond the machines there. A
 * machine of a group with several zones counts once, in the zone that needs it, and for the grants that name the group
 * before all others.
 */
export function spareMachines(view: PoolView, groups: readonly ListedGroup[], judgements: Judgements): number {
  const present = view.nodes.filter(({ gone }) => !gone);
  const units = unitsPerNode(instanceTypeOfPool(view.type));
  const roomOf = (among: readonly ListedGroup[]) =>
    among.reduce((sum, { name, most }) => {
      return sum + Math.max(0, most - present.filter(({ group }) => group === name).length);
    }, 0);
  const wide = groups.filter(({ zones }) => zones.length > 1);
  let shared = roomOf(wide);
  const isUnnamed = ({ group }: Share) => wide.every(({ name }) => name !== group);
  const ownRoom = (zone: string) => roomOf(groups.filter(({ zones }) => zones.length === 1 && zones[0] === zone));
  const findRoom = (share: Share) => {
    if (share.group !== undefined) return roomOf(groups.filter(({ name }) => name === share.group));
    return share.zone === undefined ? Infinity : ownRoom(share.zone) + Math.max(0, shared);
  };
  const judged = { ...judgements, findRoom };
  const countNeeded = (part: PoolView, room: number) => {
    const there = part.nodes.filter(({ gone }) => !gone).length;
    return room - Math.floor(spareUnits(part, there + room, judged) / units);
  };
  const named = wide.map((group) => {
    const nodes = view.nodes.filter((node) => node.group === group.name);
    return countNeeded({ ...withShares(view, (share) => share.group === group.name), nodes }, roomOf([group]));
  });
  shared -= sum(named);
  const borrowed = [...new Set(groups.flatMap(({ zones }) => zones))].map((zone) => {
    const own = ownRoom(zone);
    const nodes = view.nodes.filter((node) => node.zone === zone);
    const inZone = withShares(view, (share) => share.zone === zone && isUnnamed(share));
    return Math.max(0, countNeeded({ ...inZone, nodes }, own + Math.max(0, shared)) - own);
  });
  return Math.min(roomOf(groups) - countNeeded(view, roomOf(groups)), shared - sum(borrowed));
}

/** Returns the pool with only the grants of which an unpinned share meets the condition. */
function withShares(view: PoolView, isSo: (share: Share) => boolean): PoolView {
  const meets = (entry: Pick<Grant, "shares">) => listUnpinned(entry).some(isSo);
  return { ...view, granted: view.granted.filter(meets), held: view.held.filter(meets) };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Returns the units without room. Room in other zones is of no use to a share that must be in one. */
function countMissing(wanted: readonly Pick<Share, "zone" | "units">[], free: Map<string, number>): number {
  const inZones = wanted.filter(({ zone }) => zone !== undefined);
  const anywhere = wanted.filter(({ zone }) => zone === undefined);
  return [...inZones, ...anywhere].reduce((missing, share) => {
    let { units } = share;
    for (const [zone, rest] of free) {
      const used = (share.zone ?? zone) === zone ? Math.min(rest, units) : 0;
      free.set(zone, rest - used);
      units -= used;
    }
    return missing + units;
  }, 0);
}

function listUnpinned({ shares }: Pick<Grant, "shares">): Share[] {
  return shares.filter(({ node }) => node === null);
}

function unitsIn(shares: readonly { readonly units: number }[]): number {
  return shares.reduce((sum, { units }) => sum + units, 0);
}
