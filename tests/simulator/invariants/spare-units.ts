import { instanceTypeOfPool, unitsPerNode } from "#core/fleet.ts";
import type { Grant, NodeLedger } from "#core/pools/ledger/record.ts";
import type { Share } from "#core/ports/compute.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import type { ZoneGroup } from "../weather/node-group.ts";

interface Judgements extends Readonly<Record<"uses" | "isUnpinned", (entry: Pick<Grant, "uid" | "run">) => boolean>> {
  readonly isFresh: (entry: Pick<Grant, "id">) => boolean;
  /** Returns the zone of the environment's disk, if it has one. */
  readonly findZone: (entry: Pick<Grant, "uid">) => string | undefined;
}

/** Returns the units that a pool's group may still create, minus those that unpinned grants need beyond its machines. */
export function spareUnits(
  { type, nodes, granted, held }: PoolView,
  mostNodes: number,
  { uses, isUnpinned, isFresh, findZone }: Judgements,
): number {
  const present = nodes.filter(({ gone }) => !gone);
  const toMake = Math.max(0, mostNodes - present.length);
  // The cluster may bind a run where another was granted. Only one of them runs there.
  const freeOn = (node: NodeLedger) => Math.max(0, node.units - unitsIn([...node.granted, ...node.held].filter(uses)));
  /** A machine may have come in another zone. The run then waits until one of the others goes. */
  const mayCome = ({ shares, size }: Grant) => {
    const open = shares.filter(({ node }) => node === null);
    const near = present.filter(({ zone }) => open[0]?.zone === undefined || zone === open[0].zone);
    return near.filter((node) => freeOn(node) >= size.units).length + toMake >= open.length;
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

/** Returns the same for one zone and its only group: minus those of unpinned grants that must be in this zone. */
export function spareInZone(view: PoolView, zone: string, { name, most }: ZoneGroup, judgements: Judgements): number {
  const nodes = view.nodes.filter((node) => node.zone === zone);
  const present = nodes.filter(({ gone }) => !gone);
  const others = present.filter(({ group }) => group !== name).length;
  const isHere = (entry: Grant) => listUnpinned(entry).some((share) => share.zone === zone);
  const [granted, held] = [view.granted.filter(isHere), view.held.filter(isHere)];
  return spareUnits({ ...view, nodes, granted, held }, most + others, judgements);
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
