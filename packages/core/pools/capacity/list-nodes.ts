import type { Context } from "../../context.ts";
import { poolTypes } from "../../fleet.ts";
import type { InterruptionKind } from "../../ports/compute.ts";
import { readLedger } from "../ledger/ledger.ts";
import { emptyPool, type NodeLedger } from "../ledger/record.ts";
import { currentInterruption } from "./interruption.ts";
import { WORD_MS } from "./node-gone.ts";

export interface ListedNode {
  readonly name: string;
  readonly uid: string;
  readonly pool: string;
  readonly zone: string;
  readonly state: "ready" | "not_ready" | "cordoned" | "tainted" | "gone";
  /** The fault that the machine itself reports, or that its provider takes it back. null otherwise, or if it is gone. */
  readonly fault: string | null;
  readonly units: number;
  readonly unitsInUse: number;
  /** When the operator's declaration that the machine is dead expires, ms. null without a declaration. */
  readonly goneUntil: number | null;
}

/** Lists the machines of all pools, gone machines first, then by name. Leaves out unreadable items. */
export async function listNodes(ctx: Context<"table">): Promise<ListedNode[]> {
  const now = ctx.clock.now();
  const ledgers = await Promise.all(poolTypes.map((type) => readLedger(ctx, emptyPool(ctx, type))));
  const nodes = ledgers.flatMap((ledger) => ledger.nodes.map((node) => listedNode(node, now)));
  return nodes.toSorted(
    (a, b) => Number(b.state === "gone") - Number(a.state === "gone") || (a.name < b.name ? -1 : 1),
  );
}

export function listedNode(node: NodeLedger, now: number): ListedNode {
  const { name, uid, type: pool, zone, units, granted, held, saidAt } = node;
  const unitsInUse = [...granted, ...held].reduce((sum, entry) => sum + entry.units, 0);
  const goneUntil = saidAt !== undefined && now < saidAt + WORD_MS ? saidAt + WORD_MS : null;
  const interruption = currentInterruption(node, now);
  const fault = node.gone ? null : (node.fault ?? (interruption ? faults[interruption.kind] : null));
  const state = getState(interruption ? { ...node, ready: false } : node);
  return { name, uid, pool, zone, state, fault, units, unitsInUse, goneUntil };
}

const faults = {
  rebalance: "Spot rebalance recommendation",
  removal: "being removed from the cluster",
  spot: "Spot interruption",
} as const satisfies Record<InterruptionKind, string>;

function getState({ gone, ready, unready }: NodeLedger): ListedNode["state"] {
  if (gone) return "gone";
  if (ready) return "ready";
  return unready === "cordoned" || unready === "tainted" ? unready : "not_ready";
}
