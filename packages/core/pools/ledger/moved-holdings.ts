import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import { keyText } from "../../store/keys.ts";
import { nodeLedgerKey } from "./ledger.ts";
import type { Grant, Holding, Ledger, NodeLedger } from "./record.ts";

/** Moves holdings from machines still to be created to the machines of their runs, once the pool has all of them. */
export function onTheirMachines(
  ctx: Context,
  { type, nodes }: Ledger,
  all: readonly Holding[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): readonly Holding[] {
  if (!all.some(isUnpinned)) return all;
  const there = new Set(nodes.map((node) => keyText(node)));
  return all.map((holding) =>
    isUnpinned(holding) ? onItsMachines(ctx, type, there, holding, knownEnvironments.get(holding.key)) : holding,
  );
}

function isUnpinned({ shares }: Grant): boolean {
  return shares.some(({ node }) => node === null);
}

function onItsMachines(
  ctx: Context,
  type: string,
  there: ReadonlySet<string>,
  holding: Holding,
  record: Environment | undefined,
): Holding {
  const machines = record?.run.machines ?? [];
  if (machines.length !== holding.shares.length) return holding;
  const items = holding.items.map((item, rank) => {
    const machine = machines[rank];
    return holding.shares[rank]?.node === null && machine ? keyText(nodeLedgerKey(ctx, type, machine)) : item;
  });
  if (!items.every((item) => there.has(item)) || new Set(items).size < items.length) return holding;
  return {
    ...holding,
    items,
    shares: holding.shares.map(({ units }, rank) => ({ node: machines[rank]?.name ?? null, units })),
  };
}

/** Subtracts moved holdings from the leftovers that the cluster showed, so that their units count once. */
export function withoutLeftovers(
  nodes: readonly NodeLedger[],
  held: readonly Holding[],
  before: Ledger,
): readonly NodeLedger[] {
  const earlier = new Map(before.held.filter(isUnpinned).map(({ id, items }) => [id, items]));
  if (earlier.size === 0) return nodes;
  const moved = new Map<string, number>();
  for (const { id, items, shares } of held) {
    const was = earlier.get(id);
    if (!was || was === items) continue;
    for (const [rank, item] of items.entries()) {
      if (!was.includes(item)) moved.set(item, (moved.get(item) ?? 0) + (shares[rank]?.units ?? 0));
    }
  }
  if (moved.size === 0) return nodes;
  return nodes.map((node) => {
    const units = moved.get(keyText(node));
    return units === undefined ? node : { ...node, leftoverUnits: Math.max(0, node.leftoverUnits - units) };
  });
}
