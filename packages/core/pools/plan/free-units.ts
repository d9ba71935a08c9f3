import { popHeap, pushHeap } from "../../heap.ts";
import type { Share } from "../../ports/compute.ts";

/** A machine that can be granted and its free units. Name null: a machine that its group can still create. */
export interface FreeNode {
  readonly name: string | null;
  /** null if it can be created in any zone. */
  readonly zone: string | null;
  readonly free: number;
}

export interface Need {
  readonly machines: number;
  /** Per machine. */
  readonly units: number;
  /** null for any zone. */
  readonly zone: string | null;
}

export interface Placement {
  /** Indexes into the nodes. */
  readonly nodes: readonly number[];
  readonly shares: readonly Share[];
}

/** Free capacity of a pool, kept per node for best fit: 8 free units on one node differ from 4 + 4. */
export interface FreeUnits {
  /**
   * Takes each machine from a different node: the fullest that fits, then the first, and existing nodes before nodes
   * still to be created. Takes nothing and returns undefined if the need does not fit.
   */
  take(need: Need, allowed?: (node: number) => boolean): Placement | undefined;
  /** Returns what `take` would take. */
  find(need: Need, allowed?: (node: number) => boolean): readonly number[] | undefined;
  give(node: number, units: number): void;
  freeOn(node: number): number;
  total(): number;
  largest(): number;
  /** Returns the free units of the emptiest nodes, most first. Full nodes are left out. */
  most(count: number): readonly number[];
  copy(): FreeUnits;
}

/**
 * Existing or creatable nodes of one zone: per number of free units, a heap of node indexes. A node stays in its former
 * heaps until it reaches the top there.
 */
interface Group {
  readonly zone: string | null;
  readonly isMakeable: boolean;
  readonly byFree: number[][];
}

interface Groups {
  readonly groups: readonly Group[];
  readonly groupOf: Uint16Array;
}

export function freeUnits(nodes: readonly FreeNode[]): FreeUnits {
  return freeAs(
    nodes,
    nodes.map((node) => Math.max(0, node.free)),
    getGroups(nodes),
  );
}

/** Requires groups without nodes. */
function freeAs(nodes: readonly FreeNode[], free: number[], { groups, groupOf }: Groups): FreeUnits {
  const byZone = new Map<string | null, readonly (readonly Group[])[]>();
  const counts: number[] = [];
  let total = 0;
  for (let index = 0; index < free.length; index++) enter(index, free[index] ?? 0);

  function enter(index: number, units: number): void {
    free[index] = units;
    total += units;
    while (counts.length <= units) counts.push(0);
    counts[units] = (counts[units] ?? 0) + 1;
    // Every need has at least one unit, so full nodes are in no heap.
    if (units > 0) pushHeap(getLevel(groups[groupOf[index] ?? 0], units), index, isLess);
  }

  function change(index: number, units: number): void {
    const before = free[index] ?? 0;
    counts[before] = (counts[before] ?? 0) - 1;
    total -= before;
    enter(index, units);
  }

  function groupsFor(zone: string | null): readonly (readonly Group[])[] {
    const cached = byZone.get(zone);
    if (cached) return cached;
    const fits = groups.filter((group) => zone === null || group.zone === null || group.zone === zone);
    const kinds = [fits.filter(({ isMakeable }) => !isMakeable), fits.filter(({ isMakeable }) => isMakeable)];
    byZone.set(zone, kinds);
    return kinds;
  }

  function popFirst(among: readonly Group[], units: number): { index: number; heap: number[] } | undefined {
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

  function find(need: Need, allowed?: (node: number) => boolean): readonly number[] | undefined {
    const found: number[] = [];
    const popped: { index: number; heap: number[] }[] = [];
    for (const among of groupsFor(need.zone)) {
      for (let units = need.units; units < counts.length && found.length < need.machines; units++) {
        if (!counts[units]) continue;
        for (let candidate = popFirst(among, units); candidate; candidate = popFirst(among, units)) {
          popped.push(candidate);
          if (found.includes(candidate.index) || (allowed && !allowed(candidate.index))) continue;
          found.push(candidate.index);
          if (found.length === need.machines) break;
        }
      }
    }
    for (const { index, heap } of popped) pushHeap(heap, index, isLess);
    return found.length === need.machines ? found : undefined;
  }

  return {
    take(need, allowed) {
      const taken = find(need, allowed);
      if (!taken) return undefined;
      for (const index of taken) change(index, (free[index] ?? 0) - need.units);
      return { nodes: taken, shares: taken.map((index) => ({ node: nodes[index]?.name ?? null, units: need.units })) };
    },
    find,
    give: (index, units) => change(index, (free[index] ?? 0) + units),
    freeOn: (index) => free[index] ?? 0,
    total: () => total,
    largest: () =>
      Math.max(
        counts.findLastIndex((count) => count > 0),
        0,
      ),
    most: (count) => {
      const found: number[] = [];
      for (let units = counts.length - 1; units > 0 && found.length < count; units--) {
        const many = Math.min(counts[units] ?? 0, count - found.length);
        found.push(...Array.from({ length: many }, () => units));
      }
      return found;
    },
    copy: () => freeAs(nodes, free.slice(), { groups: groups.map((group) => ({ ...group, byFree: [] })), groupOf }),
  };
}

function getGroups(nodes: readonly FreeNode[]): Groups {
  const groups: Group[] = [];
  const groupOf = new Uint16Array(nodes.length);
  for (const [index, { name, zone }] of nodes.entries()) {
    const isMakeable = name === null;
    const groupIndex = groups.findIndex((group) => group.zone === zone && group.isMakeable === isMakeable);
    groupOf[index] = groupIndex >= 0 ? groupIndex : groups.push({ zone, isMakeable, byFree: [] }) - 1;
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
