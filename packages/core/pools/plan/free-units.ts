import { popHeap, pushHeap } from "../../heap.ts";
import type { Share } from "../../ports/compute.ts";
import { isInZone, type Zoned, zonesToTry } from "./zones.ts";

/** A machine that can be granted and its free units. Name null: a machine that its group can still create. */
export interface FreeNode extends Zoned {
  readonly name: string | null;
  /** The name of its node group. Absent if unknown. */
  readonly group?: string | undefined;
  /** Set if a run may name the group, so that no other creates the machine. */
  readonly isSelectable?: true | undefined;
  /** Set if its group lacked machines lately. */
  readonly isLacking?: true | undefined;
  /** Zones that lacked machines lately, for a machine still to be created. */
  readonly scarceZones?: ReadonlySet<string> | undefined;
  readonly free: number;
  /** Marks of images that it has had. */
  readonly images?: readonly string[] | undefined;
  /** How long it takes to start, if its group is known to take another time than others of the type, ms. */
  readonly startupMs?: number | undefined;
  /** When it closes by a planned drain (closings.ts), ms. */
  readonly closesAt?: number | undefined;
  /** The same by the zone in which it is created. */
  readonly zonesCloseAt?: ReadonlyMap<string, number> | undefined;
}

export interface Need {
  readonly machines: number;
  /** Per machine. */
  readonly units: number;
  /** null for any zone. */
  readonly zone: string | null;
}

/** Caches a function of a need. */
export function byNeed<T>(find: (need: Need) => T): (need: Need) => T {
  const cache = new Map<string, T>();
  return (need) => {
    const key = formatNeed(need);
    const found = cache.has(key) ? (cache.get(key) as T) : find(need);
    cache.set(key, found);
    return found;
  };
}

export function formatNeed({ machines, units, zone }: Need): string {
  return `${machines} ${units} ${zone ?? ""}`;
}

export interface Placement {
  /** Indexes into the nodes. */
  readonly nodes: readonly number[];
  readonly shares: readonly Share[];
}

/** Free capacity of a pool, kept per node for best fit: 8 free units on one node differ from 4 + 4. */
export interface FreeUnits {
  /**
   * Takes each machine from a different node: the fullest that fits, then a preferred one, then the first, and existing
   * nodes before nodes still to be created. Several machines are of one zone. Zones that lacked machines lately come
   * last, then `rankMachines` decides, then the units left over, then the order of the nodes, then that of the zones'
   * names. Takes nothing and returns undefined if the need does not fit.
   */
  take(need: Need, allowed?: Allowed, prefers?: Preferred): Placement | undefined;
  /** Returns what `take` would take. */
  find(need: Need, allowed?: Allowed): readonly number[] | undefined;
  give(node: number, units: number): void;
  freeOn(node: number): number;
  total(): number;
  largest(): number;
  /** Returns the free units of the emptiest nodes, most first. Full nodes are left out. */
  most(count: number): readonly number[];
  /** Adds a zone that no node names. A grant fixed a machine still to be created to this zone. */
  nameZone(zone: string): void;
  copy(): FreeUnits;
}

/**
 * Existing or creatable nodes of one zone and node group: per number of free units, a heap of node indexes. A node stays
 * in its former heaps until it reaches the top there.
 */
interface Group extends Zoned {
  readonly nodeGroup: string | undefined;
  readonly isMakeable: boolean;
  readonly byFree: number[][];
}

interface Groups {
  readonly groups: readonly Group[];
  readonly groupOf: Uint16Array;
}

/** Nodes for a need, in `zone` if the need is bound to one or has several machines. */
interface Found {
  readonly nodes: readonly number[];
  readonly zone: string | null;
  /** The node group that must create the new machines. Absent: any. */
  readonly group?: string | undefined;
}

interface State extends Groups {
  readonly nodes: readonly FreeNode[];
  /** Free units by node. */
  readonly free: number[];
  /** Number of nodes by their free units. */
  readonly counts: number[];
  /** The groups for a place: those of existing nodes, then those of nodes still to be created. */
  readonly byPlace: Map<string, readonly (readonly Group[])[]>;
  readonly namedZones: Zoned[];
  total: number;
}

/** Reports whether a node may be taken in this zone: null if the need is not bound to one. */
export type Allowed = (node: number, zone: string | null) => boolean;

/** Reports whether a node is better than others that are equally full. */
type Preferred = (node: number) => boolean;

/** So many equally full nodes are searched for a preferred one. */
const MOST_SEARCHED = 64;

export function freeUnits(nodes: readonly FreeNode[]): FreeUnits {
  return freeAs(
    nodes,
    nodes.map((node) => Math.max(0, node.free)),
    getGroups(nodes),
  );
}

/** Requires groups without nodes. */
function freeAs(
  nodes: readonly FreeNode[],
  free: number[],
  { groups, groupOf }: Groups,
  namedZones: Zoned[] = [],
): FreeUnits {
  const state: State = { nodes, groups, groupOf, free, counts: [], byPlace: new Map(), namedZones, total: 0 };
  for (let index = 0; index < free.length; index++) enter(state, index, free[index] ?? 0);
  return {
    take(need, allowed, prefers) {
      const found = find(state, need, allowed, prefers);
      if (!found) return undefined;
      for (const index of found.nodes) change(state, index, -need.units);
      return { nodes: found.nodes, shares: found.nodes.map((index) => toShare(nodes[index], need.units, found)) };
    },
    find: (need, allowed) => find(state, need, allowed)?.nodes,
    give: (index, units) => change(state, index, units),
    freeOn: (index) => free[index] ?? 0,
    total: () => state.total,
    largest: () => Math.max(0, largest(state)),
    most: (count) => most(state, count),
    nameZone(zone) {
      if (!namedZones.some((named) => named.zone === zone)) namedZones.push({ zone });
    },
    copy: () => {
      const emptyGroups = groups.map((group) => ({ ...group, byFree: [] }));
      return freeAs(nodes, free.slice(), { groups: emptyGroups, groupOf }, namedZones.slice());
    },
  };
}

function enter(state: State, index: number, units: number): void {
  const { groups, groupOf, free, counts } = state;
  free[index] = units;
  state.total += units;
  while (counts.length <= units) counts.push(0);
  counts[units] = (counts[units] ?? 0) + 1;
  // Every need has at least one unit, so full nodes are in no heap.
  if (units > 0) pushHeap(getLevel(groups[groupOf[index] ?? 0], units), index, isLess);
}

function change(state: State, index: number, units: number): void {
  const before = state.free[index] ?? 0;
  state.counts[before] = (state.counts[before] ?? 0) - 1;
  state.total -= before;
  enter(state, index, before + units);
}

function toShare(node: FreeNode | undefined, units: number, { zone, group }: Found): Share {
  const name = node?.name ?? null;
  if (name !== null) return { node: name, units };
  return { node: null, units, ...(zone !== null && { zone }), ...(group !== undefined && { group }) };
}

function find(state: State, need: Need, allowed?: Allowed, prefers?: Preferred): Found | undefined {
  if (need.machines === 1) {
    const nodes = findIn(state, need, need, allowed, prefers);
    return nodes && { nodes, zone: need.zone };
  }
  let best: (Found & { readonly cost: readonly number[] }) | undefined;
  for (const place of zonesToTry(need, [...state.groups, ...state.namedZones]).flatMap((zone) =>
    listPlaces(state, zone),
  )) {
    const nodes = findIn(state, need, place, allowed, prefers);
    if (!nodes) continue;
    const machines = nodes.flatMap((node) => state.nodes[node] ?? []);
    const left = nodes.reduce((sum, node) => sum + (state.free[node] ?? 0), 0);
    const cost = [isScarce(machines, place) ? 1 : 0, ...rankMachines(machines), left, ...nodes];
    if (!best || isCheaper(cost, best.cost)) best = { nodes, zone: place.zone, group: findGroup(machines), cost };
  }
  return best;
}

/** Reports whether a new machine must come in a zone that lacked machines lately. */
export function isScarce(machines: readonly FreeNode[], { zone }: Pick<Place, "zone">): boolean {
  return zone !== null && machines.some(({ name, scarceZones }) => name === null && scarceZones?.has(zone));
}

type Machine = Pick<FreeNode, "name" | "group" | "isSelectable">;

/**
 * Ranks machines for one job. Lower numbers are better. The first number prefers machines that exist to new ones of one
 * node group that the job may name, and these to all others. The second is the number of new machines. The third prefers
 * machines of one node group.
 */
export function rankMachines(machines: readonly Machine[]): readonly number[] {
  const made = machines.filter(({ name }) => name === null).length;
  const wait = findGroup(machines) === undefined ? 2 : 1;
  return [made === 0 ? 0 : wait, made, isOfOneGroup(machines) ? 0 : 1];
}

/** Returns the node group of all machines if the job may name it. Existing machines alone need no such name. */
function findGroup(machines: readonly Machine[]): string | undefined {
  const made = machines.filter(({ name }) => name === null);
  const canName = made.length > 0 && made.every(({ isSelectable }) => isSelectable) && isOfOneGroup(machines);
  return canName ? made[0]?.group : undefined;
}

function isOfOneGroup(machines: readonly Machine[]): boolean {
  return machines.every(({ group }) => group === machines[0]?.group);
}

/** A place for the machines of a job. Zone null: all zones. Group undefined: all node groups. */
interface Place {
  readonly zone: string | null;
  readonly group?: string | undefined;
}

/**
 * Returns the node groups of a zone one by one, then the zone with all of them. The machines of a placement group or of a
 * Capacity Block are those of one node group.
 */
function listPlaces({ groups }: State, zone: string | null): readonly Place[] {
  const names = new Set(groups.filter((group) => isInZone(group, zone)).map(({ nodeGroup }) => nodeGroup));
  const named = [...names].flatMap((group) => (group === undefined || names.size === 1 ? [] : [{ zone, group }]));
  return [...named, { zone }];
}

/** Compares the first numbers that differ. */
export function isCheaper(cost: readonly number[], other: readonly number[]): boolean {
  const first = cost.findIndex((part, index) => part !== other[index]);
  return first >= 0 && (cost[first] ?? 0) < (other[first] ?? 0);
}

function findIn(
  state: State,
  need: Need,
  place: Place,
  allowed?: Allowed,
  prefers?: Preferred,
): readonly number[] | undefined {
  const { counts } = state;
  const found: number[] = [];
  const popped: { index: number; heap: number[] }[] = [];
  for (const among of groupsFor(state, place)) {
    for (let units = need.units; units < counts.length && found.length < need.machines; units++) {
      if (!counts[units]) continue;
      const others: number[] = [];
      for (let candidate = popFirst(state, among, units); candidate; candidate = popFirst(state, among, units)) {
        popped.push(candidate);
        const { index } = candidate;
        if (found.includes(index) || (allowed && !allowed(index, place.zone))) continue;
        (!prefers || prefers(index) ? found : others).push(index);
        if (found.length === need.machines || others.length === MOST_SEARCHED) break;
      }
      found.push(...others.slice(0, need.machines - found.length));
    }
  }
  for (const { index, heap } of popped) pushHeap(heap, index, isLess);
  return found.length === need.machines ? found : undefined;
}

function groupsFor({ groups, byPlace }: State, { zone, group }: Place): readonly (readonly Group[])[] {
  const key = `${zone === null ? "any" : `in ${zone}`} ${group ?? ""}`;
  const cached = byPlace.get(key);
  if (cached) return cached;
  const isIn = (candidate: Group) => group === undefined || candidate.nodeGroup === group;
  const fits = groups.filter((candidate) => isIn(candidate) && isInZone(candidate, zone));
  const kinds = [fits.filter(({ isMakeable }) => !isMakeable), fits.filter(({ isMakeable }) => isMakeable)];
  byPlace.set(key, kinds);
  return kinds;
}

function popFirst(
  { free }: State,
  among: readonly Group[],
  units: number,
): { index: number; heap: number[] } | undefined {
  let first: number[] | undefined;
  for (const { byFree } of among) {
    const heap = byFree[units];
    if (!heap) continue;
    while (heap.length > 0 && free[heap[0] ?? 0] !== units) popHeap(heap, isLess);
    if (heap.length > 0 && (!first || (heap[0] ?? 0) < (first[0] ?? 0))) first = heap;
  }
  const index = first && popHeap(first, isLess);
  return first && index !== undefined ? { index, heap: first } : undefined;
}

function largest({ counts }: State): number {
  return counts.findLastIndex((count) => count > 0);
}

function most({ counts }: State, count: number): number[] {
  const found: number[] = [];
  for (let units = counts.length - 1; units > 0 && found.length < count; units--) {
    const many = Math.min(counts[units] ?? 0, count - found.length);
    found.push(...Array.from({ length: many }, () => units));
  }
  return found;
}

function getGroups(nodes: readonly FreeNode[]): Groups {
  const groups: Group[] = [];
  const groupOf = new Uint16Array(nodes.length);
  const indexes = new Map<string, number>();
  for (const [index, { name, group: nodeGroup, zone, zones, lacking }] of nodes.entries()) {
    const isMakeable = name === null;
    const key = `${isMakeable} ${nodeGroup ?? ""} ${zone ?? ""} ${zones?.join() ?? ""}`;
    const group = { zone, zones, lacking, nodeGroup, isMakeable, byFree: [] };
    const groupIndex = indexes.get(key) ?? groups.push(group) - 1;
    indexes.set(key, groupIndex);
    groupOf[index] = groupIndex;
  }
  return { groups, groupOf };
}

function getLevel(group: Group | undefined, units: number): number[] {
  const byFree = group?.byFree ?? [];
  while (byFree.length <= units) byFree.push([]);
  return byFree[units] ?? [];
}

function isLess(a: number, b: number): boolean {
  return a < b;
}
