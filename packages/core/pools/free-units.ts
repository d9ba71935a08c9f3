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

export function freeUnits(nodes: readonly FreeNode[]): FreeUnits {
  const free = nodes.map(() => 0);
  const existing: Set<number>[] = [new Set()];
  const makeable: Set<number>[] = [new Set()];
  let total = 0;
  for (const [index, node] of nodes.entries()) put(index, Math.max(0, node.free));

  function put(index: number, units: number): void {
    const kind = nodes[index]?.name === null ? makeable : existing;
    kind[free[index] ?? 0]?.delete(index);
    total += units - (free[index] ?? 0);
    free[index] = units;
    while (kind.length <= units) kind.push(new Set());
    kind[units]?.add(index);
  }

  function bestFit(need: Need, allowed: (node: number) => boolean): number | undefined {
    for (const kind of [existing, makeable]) {
      for (let units = need.units; units < kind.length; units++) {
        for (const index of kind[units] ?? []) {
          const zone = nodes[index]?.zone ?? null;
          if ((need.zone === null || zone === null || zone === need.zone) && allowed(index)) return index;
        }
      }
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
