import type { Share } from "../context.ts";

/** A machine that can be given, and how much of it is free. Name null: one that its group would still make. */
export interface FreeNode {
  readonly name: string | null;
  /** null: it could be made in any zone. */
  readonly zone: string | null;
  readonly free: number;
}

export interface Need {
  readonly machines: number;
  /** Per machine. */
  readonly units: number;
  /** null: anywhere. */
  readonly zone: string | null;
}

export interface Placement {
  /** Indexes into the nodes given. */
  readonly nodes: readonly number[];
  readonly shares: readonly Share[];
}

/** Free capacity of a pool, kept per node for best fit: 8 free on one node are not 4 + 4. */
export interface FreeUnits {
  /**
   * Takes each machine from a node of its own: the fullest that fits, existing nodes before those still to be made.
   * Takes nothing and answers undefined when it does not fit.
   */
  take(need: Need, allowed?: (node: number) => boolean): Placement | undefined;
  give(node: number, units: number): void;
  freeOn(node: number): number;
  total(): number;
  /** The most that is free on one node. */
  largest(): number;
}

/** Nodes by how much of them is free: the place in the list is the number of units. */
type ByFree = Set<number>[];

export function freeUnits(nodes: readonly FreeNode[]): FreeUnits {
  const free = nodes.map(() => 0);
  const existing: ByFree = [];
  const makeable: ByFree = [];
  // The same nodes once more for each zone, so that who is pinned to a full one does not go through all the others.
  const inZone = new Map<string | null, { readonly existing: ByFree; readonly makeable: ByFree }>();
  for (const { zone } of nodes) if (!inZone.has(zone)) inZone.set(zone, { existing: [], makeable: [] });
  let total = 0;
  for (const [index, node] of nodes.entries()) put(index, Math.max(0, node.free));

  function put(index: number, units: number): void {
    const before = free[index] ?? 0;
    const kind = nodes[index]?.name === null ? "makeable" : "existing";
    move(kind === "makeable" ? makeable : existing, index, before, units);
    move(inZone.get(nodes[index]?.zone ?? null)?.[kind] ?? [], index, before, units);
    total += units - before;
    free[index] = units;
  }

  function bestFit(need: Need, allowed: (node: number) => boolean): number | undefined {
    const anywhere = [existing, makeable].map((kind) => [kind]);
    const pinned = (["existing", "makeable"] as const).map((kind) =>
      [need.zone, null].map((zone) => inZone.get(zone)?.[kind] ?? []),
    );
    for (const kind of need.zone === null ? anywhere : pinned) {
      const found = fullestOf(kind, need.units, allowed);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  return {
    take(need, allowed = () => true) {
      const taken: number[] = [];
      while (taken.length < need.machines) {
        const index = bestFit(need, (node) => !taken.includes(node) && allowed(node));
        if (index === undefined) return undefined;
        taken.push(index);
      }
      for (const index of taken) put(index, (free[index] ?? 0) - need.units);
      return { nodes: taken, shares: taken.map((index) => ({ node: nodes[index]?.name ?? null, units: need.units })) };
    },
    give: (index, units) => put(index, (free[index] ?? 0) + units),
    freeOn: (index) => free[index] ?? 0,
    total: () => total,
    largest: () => Math.max(largestIn(existing), largestIn(makeable), 0),
  };
}

function largestIn(kind: readonly Set<number>[]): number {
  return kind.findLastIndex((set) => set.size > 0);
}

function move(kind: ByFree, index: number, before: number, units: number): void {
  kind[before]?.delete(index);
  while (kind.length <= units) kind.push(new Set());
  kind[units]?.add(index);
}

/** The fullest node that fits in any of these lists. */
function fullestOf(lists: readonly ByFree[], units: number, allowed: (node: number) => boolean): number | undefined {
  const most = Math.max(...lists.map((list) => list.length));
  for (let free = units; free < most; free++) {
    for (const list of lists) {
      for (const index of list[free] ?? []) if (allowed(index)) return index;
    }
  }
  return undefined;
}
