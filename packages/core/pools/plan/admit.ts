import { both, latestEndFor, openTo } from "./closings.ts";
import { fairOrder } from "./fair-order.ts";
import {
  type Allowed,
  byNeed,
  type FreeNode,
  type FreeUnits,
  freeUnits,
  type Need,
  type Placement,
} from "./free-units.ts";
import { type AllNodes, fixZone } from "./new-machines.ts";
import { charge, type Planned } from "./places.ts";
import type { Occupied, Plan, PlanInput, PlannedGrant, Waiting } from "./plan.ts";
import { listReleases, passes, type Release, type Reservation, reserve } from "./reservation.ts";
import { isInZone } from "./zones.ts";

export interface Admitted
  extends Pick<Planned, "nodes" | "free" | "left" | "hopeless" | "latestEnd" | "releases" | "unpinnedLeft"> {
  readonly grants: Plan["grants"];
  /** The first job that does not fit, if its start could be reserved. */
  readonly reservedFor: string | null;
  /** How many of the grants came before that job. */
  readonly grantsBefore: number;
}

/** Grants in fair order, and charges the owners in `usage`. */
export function admit(input: PlanInput, { nodes: before, unpinned }: AllNodes, usage: Map<string, number>): Admitted {
  const free = freeUnits(before);
  const { nodes, mayCome, fix, freeAfter } = trackZones(before, free);
  const placements: { readonly uid: string; readonly placed: Placement }[] = [];
  const grantedShares: Occupied[] = [];
  const left: Waiting[] = [];
  const hopeless = new Set<string>();
  const latestEnd = latestEndFor(nodes, input);
  const getAttempt = byNeed((): Attempt => ({ refusedFrom: Infinity }));
  const mayPass = (endsAt: number) => both(mayCome, openTo(nodes, input, endsAt));
  let reserved: Reservation | undefined;
  let reservedFor: string | null = null;
  let grantsBefore = Number.POSITIVE_INFINITY;
  let sorted: readonly Release[] | undefined;
  /** Sorted on first use. Sorting dominates a plan of a pool with 10,000 occupied machines. */
  const releases = () => {
    sorted ??= listReleases(input.occupied, nodes, unpinned, input);
    return listReleases(grantedShares, nodes, unpinned, input, sorted);
  };
  let unpinnedLeft = input.mostUnpinned ?? Number.POSITIVE_INFINITY;
  /** Machines kept for a head that only that limit stops. Without this, others would take each one that is returned. */
  let keptUnpinned = 0;
  const mayTake = (need: Need, endsAt: number) => {
    const open = both(reserved && passes(reserved, free, need, endsAt), mayPass(endsAt));
    if (unpinnedLeft - keptUnpinned >= need.machines) return open;
    return both((node) => nodes[node]?.name !== null, open);
  };
  for (const entry of fairOrder(input, usage)) {
    const need = getNeed(entry);
    const attempt = getAttempt(need);
    const endsAt = input.now + entry.size.wantedMs;
    const canFit = endsAt <= latestEnd(need);
    if (!canFit) hopeless.add(entry.uid);
    if (!canFit || endsAt >= attempt.refusedFrom) {
      left.push(entry);
      continue;
    }
    const placed = input.closed ? undefined : free.take(need, mayTake(need, endsAt), havingImage(nodes, entry));
    if (!placed) {
      left.push(entry);
      if (!reserved && !input.closed && free.find(need, mayPass(endsAt))) keptUnpinned = need.machines;
      attempt.refusedFrom = reserved || input.closings ? endsAt : Number.NEGATIVE_INFINITY;
      const openAt = (startsAt: number) => mayPass(startsAt + entry.size.wantedMs);
      reserved ??= reserve(need, free, releases(), { now: input.now, openAt });
      if (reserved && reservedFor === null) [reservedFor, grantsBefore] = [entry.uid, placements.length];
      continue;
    }
    charge(usage, entry);
    fix(placed);
    placements.push({ uid: entry.uid, placed });
    grantedShares.push({ owner: entry.owner, shares: placed.shares, endsAt, at: input.now, size: entry.size });
    for (const [n, share] of placed.shares.entries()) unpinned.set(share, placed.nodes[n] ?? -1);
    unpinnedLeft -= placed.shares.filter(({ node }) => node === null).length;
  }
  grantsBefore = Math.min(grantsBefore, placements.length);
  const grants = placements.map(({ uid, placed }) => ({ uid, shares: placed.shares, ...findCreated(placed, nodes) }));
  const after = { nodes, free: freeAfter() };
  return { ...after, grants, left, hopeless, latestEnd, reservedFor, grantsBefore, releases, unpinnedLeft };
}

/**
 * Keeps the zones that grants fix: parts of one new machine must not be promised in two zones. `nodes` follows the
 * grants, and `freeAfter` returns the free units with their machines in these zones.
 */
function trackZones(before: readonly FreeNode[], free: FreeUnits) {
  const nodes = [...before];
  let isFixed = false;
  const mayCome: Allowed = (index, zone) => isInZone(nodes[index] ?? { zone: null }, zone);
  return {
    nodes,
    mayCome: nodes.some(({ zone }) => zone === null) ? mayCome : undefined,
    fix({ nodes: taken, shares }: Placement) {
      for (const [n, index] of taken.entries()) {
        const [node, zone] = [nodes[index], shares[n]?.zone];
        if (node?.zone !== null || zone === undefined) continue;
        nodes[index] = fixZone(node, zone);
        if (!node.zones) free.nameZone(zone);
        isFixed = true;
      }
    },
    freeAfter: () => (isFixed ? freeUnits(nodes.map((node, index) => ({ ...node, free: free.freeOn(index) }))) : free),
  };
}

/** Returns the new machine of a placement whose share names no zone. */
function findCreated(
  { nodes: [machine = -1], shares }: Placement,
  nodes: readonly FreeNode[],
): Pick<PlannedGrant, "created"> {
  const node = nodes[machine];
  if (node?.name !== null || shares[0]?.zone !== undefined) return {};
  const zones = node.zone === null ? node.zones : [node.zone];
  return zones ? { created: { machine, zones } } : {};
}

/** Returns a check whether a machine has had the image of a job. Undefined: the image is unknown. */
function havingImage(nodes: readonly FreeNode[], { image }: Waiting): ((node: number) => boolean) | undefined {
  return image === undefined ? undefined : (node) => nodes[node]?.images?.includes(image) === true;
}

export function getNeed(entry: Waiting): Need {
  return { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
}

/** The result of earlier tries of a need. Free capacity only shrinks within a plan. */
interface Attempt {
  /** Jobs that would end at or after this time were already refused. */
  refusedFrom: number;
}
