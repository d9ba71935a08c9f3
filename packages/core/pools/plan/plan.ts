import type { Size } from "../../environments/record/record.ts";
import { MOST_MACHINES } from "../../fleet.ts";
import type { Share } from "../../ports/compute.ts";
import { unitsByOwner } from "../ledger/units-by-owner.ts";
import { both, latestEndFor, openInput, openTo } from "./closings.ts";
import { canEverFit, mayFitUnread, withoutForeign } from "./ever-fits.ts";
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
import { type NewMachines, type OpenShare, placeOpenShares } from "./new-machines.ts";
import { charge, listPlaces, type Planned } from "./places.ts";
import { listReleases, type Release, type Reservation, reserve } from "./reservation.ts";

/** A job that waits for capacity. Times are ms. */
export interface Waiting {
  readonly uid: string;
  readonly owner: string;
  readonly size: Pick<Size, "machines" | "units" | "wantedMs">;
  readonly zone: string | null;
  readonly queuedAt: number;
  /** The mark of its image (machine-images.ts). Absent if only the index was read, which lacks it. */
  readonly image?: string | undefined;
}

/** A job that was granted or holds capacity. `endsAt` is null until it is active. */
export interface Occupied {
  readonly owner: string;
  readonly shares: readonly Share[];
  readonly endsAt: number | null;
  readonly at: number;
  readonly size: Pick<Size, "wantedMs">;
}

export interface PlanNode {
  readonly name: string;
  readonly zone: string;
  /** The name of its node group. Absent if unknown. */
  readonly group?: string | undefined;
  /** Units left by foreign pods. */
  readonly units: number;
  readonly foreign?: number;
  /** Marks of images that it has had. */
  readonly images?: readonly string[] | undefined;
  /** When it closes by a planned drain, ms. */
  readonly closesAt?: number | undefined;
}

export interface PlanInput {
  readonly nodes: readonly PlanNode[];
  readonly occupied: readonly Occupied[];
  readonly waiting: readonly Waiting[];
  /** The machines that each node group may still create, sorted by the time when they close. */
  readonly makeable: readonly NewMachines[];
  /** Zones that operators drained. They matter for groups whose zones are unknown. */
  readonly drainedZones?: readonly string[] | undefined;
  /** The machines without the operators' drains, to explain waits. Absent if no part of the pool is drained. */
  readonly undrained?: Pick<PlanInput, "nodes" | "makeable"> | undefined;
  /** Zones in which none can be created now, and when they may be again, ms. */
  readonly lackingZones?: ReadonlyMap<string, number> | undefined;
  /** What operators will drain, as text, by the time at which machines close (closings.ts), ms. */
  readonly closings?: ReadonlyMap<number, string> | undefined;
  /** When machines still to be created close that are created in a zone, ms. */
  readonly zonesCloseAt?: ReadonlyMap<string, number> | undefined;
  /** Machines whose ledger items cannot be read. Nothing is granted on them. */
  readonly unreadable?: number;
  readonly unitsPerNode: number;
  readonly startupMs: number;
  /** When machines may be created again, while none comes. `occupied` has them until then. */
  readonly retryAt?: number | undefined;
  /** How many more machines still to be created may be granted. Absent: unlimited. */
  readonly mostUnpinned?: number;
  readonly head: string | null;
  /** Recent use by owner, in unit-hours (usage.ts). It breaks ties between owners who hold the same. */
  readonly used?: ReadonlyMap<string, number> | undefined;
  /** Set while nothing may be granted. Jobs keep their places. */
  readonly closed?: Halt | null | undefined;
  readonly now: number;
}

/** How the operator closed a pool. Existing grants and holdings are kept. */
export const closures = ["drained", "paused"] as const;
export type Closure = (typeof closures)[number];

/** Why nothing may be granted: the operator closed the pool, or its `makeable` item is unreadable. */
export const halts = [...closures, "unreadable"] as const;
export type Halt = (typeof halts)[number];

/** Why a job waits. reasons.ts turns the code into text, with the needed and available units. */
export const reasonCodes = [
  "none",
  "never",
  "foreign",
  "short",
  "split",
  "making",
  "unmade",
  "elsewhere",
  "behind",
  "partDrained",
  "closing",
  ...halts,
] as const;
export type ReasonCode = (typeof reasonCodes)[number];

export interface QueuePlace {
  readonly uid: string;
  /** 1-based, among the jobs that still wait. */
  readonly position: number;
  readonly startsAt: number | null;
  readonly code: ReasonCode;
  /** Requested units: per machine if the code is "split", otherwise in total. */
  readonly needed: number;
  /** Free units, machines ("never", "unreadable"), units of foreign pods ("foreign"), or a time in ms ("unmade", "closing"). */
  readonly available: number;
  /** Why no new machine can be created ("unmade"), or what closes then ("closing"), as text. Absent if unknown. */
  readonly lacks?: string | undefined;
}

export interface Plan {
  readonly grants: readonly PlannedGrant[];
  readonly places: readonly QueuePlace[];
  readonly head: string | null;
  /** How many of the grants came before the head; all without a head. */
  readonly grantsBefore: number;
  readonly freeUnits: number;
  /** The free units of the emptiest machines, most first, up to the most machines of a job. */
  readonly mostFree: readonly number[];
}

export interface PlannedGrant {
  readonly uid: string;
  readonly shares: readonly Share[];
  /** Its new machine, if it needs one that may come in any of these zones. Absent if the zones are unknown. */
  readonly created?: { readonly machine: number; readonly zones: readonly string[] } | undefined;
}

/**
 * Plans admission without side effects (docs/architecture/admission.md): grants, and for other jobs position, earliest
 * start and reason. The first job that does not fit is the head and gets a reserved start. Others are backfilled only
 * where they do not delay it. A head that needs machines with unreadable ledger items stays the head without a
 * reservation.
 */
export function plan(input: PlanInput): Plan {
  const pool = allNodes(input);
  const { nodes } = pool;
  const free = freeUnits(nodes);
  const usage = new Map(unitsByOwner(input.occupied));
  const admitted = admit(input, pool, free, usage);
  const { grants, left, hopeless, reservedFor, grantsBefore } = admitted;
  const mayFit = byNeed((need) => mayFitUnread(nodes, input, need));
  const mayFitInTime = (entry: Waiting) =>
    !input.closings || mayFitUnread(nodes, openInput(input, input.now + entry.size.wantedMs), getNeed(entry));
  const missing = left.filter((entry) => hopeless.has(entry.uid) && mayFit(getNeed(entry)) && mayFitInTime(entry));
  const unread = new Set(missing.map(({ uid }) => uid));
  const head = input.head !== null && unread.has(input.head) ? input.head : reservedFor;
  const withForeign = { ...input, nodes: input.nodes.map(withoutForeign) };
  const isForeign = byNeed((need) => canEverFit(nodes, withForeign, need));
  const isDrained = input.undrained
    ? byNeed(drainCheck(input, input.undrained, admitted, { nodes, free }))
    : () => false;
  const places = listPlaces({ ...input, head }, { ...admitted, nodes, free, unread, usage, isForeign, isDrained });
  return { grants, places, head, grantsBefore, freeUnits: free.total(), mostFree: free.most(MOST_MACHINES) };
}

/** Returns a check whether only the drain of a part keeps a need from starting, now or ever. */
function drainCheck(
  input: PlanInput,
  undrained: NonNullable<PlanInput["undrained"]>,
  { grants }: Pick<Plan, "grants">,
  { nodes, free }: { readonly nodes: readonly FreeNode[]; readonly free: FreeUnits },
): (need: Need) => boolean {
  const open = { ...input, ...undrained, drainedZones: undefined };
  let found: { readonly nodes: readonly FreeNode[]; readonly free: FreeUnits } | undefined;
  const read = () => {
    if (found) return found;
    const all = allNodes({ ...open, occupied: [...input.occupied, ...grants] }).nodes;
    found = { nodes: all, free: freeUnits(all) };
    return found;
  };
  return (need) => {
    if (free.find(need)) return false;
    if (read().free.find(need)) return true;
    return !canEverFit(nodes, input, need) && canEverFit(read().nodes, open, need);
  };
}

interface Admitted extends Pick<Planned, "left" | "hopeless" | "latestEnd" | "releases" | "unpinnedLeft"> {
  readonly grants: Plan["grants"];
  /** The first job that does not fit, if its start could be reserved. */
  readonly reservedFor: string | null;
  /** How many of the grants came before that job. */
  readonly grantsBefore: number;
}

/** Grants in fair order. Takes the units from `free` and charges the owners in `usage`. */
function admit(input: PlanInput, { nodes, unpinned }: AllNodes, free: FreeUnits, usage: Map<string, number>): Admitted {
  const grants: PlannedGrant[] = [];
  const grantedShares: Occupied[] = [];
  const left: Waiting[] = [];
  const hopeless = new Set<string>();
  const latestEnd = latestEndFor(nodes, input);
  const getAttempt = byNeed((): Attempt => ({ refusedFrom: Infinity }));
  const mayPass = (endsAt: number) => openTo(nodes, input, endsAt);
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
      if (reserved && reservedFor === null) [reservedFor, grantsBefore] = [entry.uid, grants.length];
      continue;
    }
    charge(usage, entry);
    grants.push({ uid: entry.uid, shares: placed.shares, ...findCreated(placed, nodes) });
    grantedShares.push({ owner: entry.owner, shares: placed.shares, endsAt, at: input.now, size: entry.size });
    for (const [n, share] of placed.shares.entries()) unpinned.set(share, placed.nodes[n] ?? -1);
    unpinnedLeft -= placed.shares.filter(({ node }) => node === null).length;
  }
  grantsBefore = Math.min(grantsBefore, grants.length);
  return { grants, left, hopeless, latestEnd, reservedFor, grantsBefore, releases, unpinnedLeft };
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

function getNeed(entry: Waiting): Need {
  return { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
}

/** The result of earlier tries of a need. Free capacity only shrinks within a plan. */
interface Attempt {
  /** Jobs that would end at or after this time were already refused. */
  refusedFrom: number;
}

export interface AllNodes {
  /** Existing nodes less occupied units, then nodes still to be created less unpinned shares. */
  readonly nodes: readonly FreeNode[];
  readonly unpinned: Map<Share, number>;
}

export function allNodes(
  input: Pick<
    PlanInput,
    "nodes" | "makeable" | "drainedZones" | "zonesCloseAt" | "lackingZones" | "retryAt" | "unitsPerNode"
  > & { readonly occupied: readonly (Pick<Occupied, "shares"> & Partial<Occupied>)[] },
): AllNodes {
  const indexes = new Map(input.nodes.map(({ name }, index) => [name, index]));
  const used = new Int32Array(input.nodes.length);
  const open: OpenShare[] = [];
  for (const { shares, endsAt, at = 0, size } of input.occupied) {
    for (const share of shares) {
      if (share.node === null) open.push({ share, endsAt: endsAt ?? at + (size?.wantedMs ?? 0) });
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

/** Returns where a job may be backfilled: on other nodes, before the reserved start, or beside the reserved units. */
export function passes(reserved: Reservation, free: FreeUnits, need: Need, endsAt: number): Allowed {
  return (node) => {
    const wanted = reserved.needs.get(node);
    if (wanted === undefined || endsAt <= reserved.startsAt) return true;
    return free.freeOn(node) + (reserved.released.get(node) ?? 0) - need.units >= wanted;
  };
}
