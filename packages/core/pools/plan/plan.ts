import type { Size } from "../../environments/record/record.ts";
import type { Share } from "../../ports/compute.ts";
import { type Release, type Reservation, releasesOf, reserve } from "../forecast/future.ts";
import { unitsByOwner } from "../ledger/units-by-owner.ts";
import { fairOrder } from "./fair-order.ts";
import { type FreeNode, type FreeUnits, freeUnits, type Need } from "./free-units.ts";
import { charge, placesOf } from "./places.ts";

/** Somebody who waits for capacity. Times are ms. */
export interface Waiting {
  readonly uid: string;
  readonly owner: string;
  readonly size: Pick<Size, "machines" | "units" | "wantedMs">;
  readonly zone: string | null;
  readonly queuedAt: number;
}

/** Somebody who was granted or holds capacity; `endsAt` null: not active yet. */
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
  /** What it offers us: its units less those of foreign pods. */
  readonly units: number;
  /** What foreign pods hold on it; absent: nothing. */
  readonly foreign?: number;
}

export interface PlanInput {
  readonly nodes: readonly PlanNode[];
  readonly occupied: readonly Occupied[];
  readonly waiting: readonly Waiting[];
  /** Nodes that the group may still make, what each offers, and how long that takes. */
  readonly makeable: number;
  /** Where they are made; null or absent: anywhere. */
  readonly makeableZone?: string | null;
  /** Machines that are there and whose ledger items cannot be read: nothing is given on them. */
  readonly unreadable?: number;
  readonly unitsPerNode: number;
  readonly startupMs: number;
  /** How many machines more may be granted that are still to be made; absent: any number. */
  readonly mostUnpinned?: number;
  /** Who had the reserved start in the plan before. */
  readonly head: string | null;
  /** What owners used lately, in unit-hours (used.ts): it decides between those who hold the same. */
  readonly used?: ReadonlyMap<string, number> | undefined;
  /** Set while nothing may be granted: everybody keeps the place that they would have. */
  readonly closed?: Halt | null | undefined;
  readonly now: number;
}

/** How the operator closed a pool: it grants nothing new. What was granted or is held already stays. */
export const closures = ["drained", "paused"] as const;
export type Closure = (typeof closures)[number];

/** Why nothing may be granted: the operator closed the pool, or what waits for its new machines cannot be read. */
export const halts = [...closures, "unreadable"] as const;
export type Halt = (typeof halts)[number];

/** Why somebody waits; put into words by reasons.ts, with what is needed and available. */
export const reasonCodes = [
  "none",
  "never",
  "foreign",
  "short",
  "split",
  "making",
  "elsewhere",
  "behind",
  ...halts,
] as const;
export type ReasonCode = (typeof reasonCodes)[number];

export interface Place {
  readonly uid: string;
  /** 1-based, of those still waiting. */
  readonly position: number;
  readonly startsAt: number | null;
  readonly code: ReasonCode;
  /** Units that it asks for: on each machine where the code is "split", else in all. */
  readonly needed: number;
  /**
   * Units that are free for it; where the code is "never" or "unreadable", the machines that there are; where it is
   * "foreign", the units that foreign pods hold.
   */
  readonly available: number;
}

export interface Plan {
  readonly grants: readonly { readonly uid: string; readonly shares: readonly Share[] }[];
  /** Everybody who is not granted, in order. */
  readonly places: readonly Place[];
  readonly head: string | null;
  readonly freeUnits: number;
  /** What is free on those machines that have most of it, most first: as many as a job may have. */
  readonly mostFree: readonly number[];
}

/** No size is on more. */
const MOST_MACHINES = 8;

/**
 * Admission, pure (docs/architecture/admission.md): who is given what now, and for the rest position, earliest start
 * and reason. The first that does not fit is the head: it gets a reserved start, and others pass only where they do not
 * delay it. A head that lacks nothing but machines whose ledger items cannot be read stays the head, and nothing is
 * kept for it meanwhile.
 */
export function plan(input: PlanInput): Plan {
  const { nodes, unpinned } = allNodes(input);
  const free = freeUnits(nodes);
  const usage = new Map(unitsByOwner(input.occupied));
  const grants: { uid: string; shares: readonly Share[] }[] = [];
  const given: Occupied[] = [];
  const left: Waiting[] = [];
  const hopeless = new Set<string>();
  const tried = new Map<string, Tried>();
  let reserved: Reservation | undefined;
  let sorted: readonly Release[] | undefined;
  /** Sorted for the first that asks: the largest part of a plan where ten thousand machines are held. */
  const releases = () => {
    sorted ??= releasesOf(input.occupied, nodes, unpinned, input);
    return releasesOf(given, nodes, unpinned, input, sorted);
  };
  let unpinnedLeft = input.mostUnpinned ?? Number.POSITIVE_INFINITY;
  /**
   * For the head, where it would fit but for that limit: it never comes to its turn while others take what is returned.
   */
  let keptUnpinned = 0;
  const mayTake = (need: Need, endsAt: number) => {
    const beside = reserved && passes(reserved, free, need, endsAt);
    if (unpinnedLeft - keptUnpinned >= need.machines) return beside;
    return (node: number) => nodes[node]?.name !== null && (beside?.(node) ?? true);
  };

  for (const entry of fairOrder(input, usage)) {
    const need = needOf(entry);
    const known = triedBefore(tried, need, () => canEverFit(nodes, input, need));
    if (!known.canFit) {
      hopeless.add(entry.uid);
      left.push(entry);
      continue;
    }
    const endsAt = input.now + entry.size.wantedMs;
    if (endsAt >= known.refusedFrom) {
      left.push(entry);
      continue;
    }
    const placed = input.closed ? undefined : free.take(need, mayTake(need, endsAt));
    if (!placed) {
      if (!reserved && !input.closed && free.find(need)) keptUnpinned = need.machines;
      known.refusedFrom = reserved ? endsAt : Number.NEGATIVE_INFINITY;
      reserved ??= reserve(entry, need, free, releases(), input.now);
      left.push(entry);
      continue;
    }
    charge(usage, entry);
    grants.push({ uid: entry.uid, shares: placed.shares });
    given.push({ owner: entry.owner, shares: placed.shares, endsAt, at: input.now, size: entry.size });
    for (const [n, share] of placed.shares.entries()) unpinned.set(share, placed.nodes[n] ?? -1);
    unpinnedLeft -= placed.shares.filter(({ node }) => node === null).length;
  }
  const wider = new Map<string, Tried>();
  const mayFit = (need: Need) => triedBefore(wider, need, () => mayFitUnread(nodes, input, need)).canFit;
  const missing = left.filter((entry) => hopeless.has(entry.uid) && mayFit(needOf(entry)));
  const unread = new Set(missing.map(({ uid }) => uid));
  const head = input.head !== null && unread.has(input.head) ? input.head : (reserved?.uid ?? null);
  const found = { nodes, free, left, hopeless, unread, releases, usage, unpinnedLeft };
  const without = new Map<string, Tried>();
  const fitsAlone = (need: Need) => canEverFit(nodes, { ...input, nodes: input.nodes.map(withoutForeign) }, need);
  const isForeign = (need: Need) => triedBefore(without, need, () => fitsAlone(need)).canFit;
  const places = placesOf({ ...input, head }, { ...found, isForeign });
  return { grants, places, head, freeUnits: free.total(), mostFree: free.most(MOST_MACHINES) };
}

function needOf(entry: Waiting): Need {
  return { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
}

/** What a plan knows of all who ask for the same: within one plan less and less is free. */
interface Tried {
  readonly canFit: boolean;
  /** Who would end then or later does not get it any more. */
  refusedFrom: number;
}

function triedBefore(tried: Map<string, Tried>, need: Need, canFit: () => boolean): Tried {
  const key = `${need.machines} ${need.units} ${need.zone ?? ""}`;
  const known = tried.get(key) ?? { canFit: canFit(), refusedFrom: Number.POSITIVE_INFINITY };
  tried.set(key, known);
  return known;
}

export interface AllNodes {
  /** Existing nodes less what is occupied, then those still to be made less what was granted on them unpinned. */
  readonly nodes: readonly FreeNode[];
  /** The node on which each unpinned share is counted. */
  readonly unpinned: Map<Share, number>;
}

/** Returns what is free on each node, before any grant of this plan. */
export function allNodes(
  input: Pick<PlanInput, "nodes" | "occupied" | "makeable" | "makeableZone" | "unitsPerNode">,
): AllNodes {
  const indexes = new Map(input.nodes.map(({ name }, index) => [name, index]));
  const used = new Int32Array(input.nodes.length);
  const open: Share[] = [];
  for (const { shares } of input.occupied) {
    for (const share of shares) {
      if (share.node === null) open.push(share);
      const index = share.node === null ? undefined : indexes.get(share.node);
      if (index !== undefined) used[index] = (used[index] ?? 0) + share.units;
    }
  }
  const existing = input.nodes.map(({ name, zone, units }, index) => ({
    name,
    zone,
    free: units - (used[index] ?? 0),
  }));
  const made = Array.from({ length: input.makeable }, () => input.unitsPerNode);
  const unpinned = new Map<Share, number>();
  for (const share of open) {
    const index = made.findIndex((rest) => rest >= share.units);
    if (index < 0) continue;
    made[index] = (made[index] ?? 0) - share.units;
    unpinned.set(share, existing.length + index);
  }
  const zone = input.makeableZone ?? null;
  return { nodes: [...existing, ...made.map((free) => ({ name: null, zone, free }))], unpinned };
}

/** Whether it fits once nothing else is there. */
export function canEverFit(nodes: readonly FreeNode[], input: PlanInput, need: Need): boolean {
  const { makeableZone = null } = input;
  const isElsewhere = need.zone !== null && makeableZone !== null && need.zone !== makeableZone;
  let fitting = isElsewhere ? 0 : input.makeable;
  if (need.units > input.unitsPerNode) return false;
  for (const node of input.nodes) {
    if (fitting >= need.machines) return true;
    if (node.units >= need.units && (need.zone === null || node.zone === need.zone)) fitting += 1;
  }
  return nodes.length > 0 && fitting >= need.machines;
}

/** Returns the node as it would be without the pods of others. */
export function withoutForeign(node: PlanNode): PlanNode {
  return node.foreign ? { ...node, units: node.units + node.foreign, foreign: 0 } : node;
}

/** Whether it may fit once those machines are counted whose ledger items cannot be read now. */
function mayFitUnread(nodes: readonly FreeNode[], input: PlanInput, need: Need): boolean {
  const { unreadable = 0 } = input;
  if (unreadable === 0) return false;
  const [name, zone] = ["", need.zone ?? ""];
  const any = Array.from({ length: unreadable }, () => ({ name, zone, units: input.unitsPerNode }));
  return canEverFit([...nodes, { name, zone, free: 0 }], { ...input, nodes: [...input.nodes, ...any] }, need);
}

/** Where somebody may pass the head: on other nodes, until the head starts, or beside what it needs. */
export function passes(reserved: Reservation, free: FreeUnits, need: Need, endsAt: number): (node: number) => boolean {
  return (node) => {
    const wanted = reserved.needs.get(node);
    if (wanted === undefined || endsAt <= reserved.startsAt) return true;
    return free.freeOn(node) + (reserved.released.get(node) ?? 0) - need.units >= wanted;
  };
}
