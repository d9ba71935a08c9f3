import type { Context } from "../context.ts";
import type { Environment } from "../environments/record/record.ts";
import { nodeNameOf } from "../keys.ts";
import { readLedgerItems } from "./ledger.ts";
import type { NodeLedger } from "./record.ts";

/** A machine that a run was granted. `isFull` false: its ledger item cannot be read. */
export interface Crowded {
  readonly name: string;
  readonly isFull: boolean;
}

/**
 * A machine that this run was granted and that others fill by now, or may fill; undefined: there is none. The cluster puts
 * a run that waits for a new machine wherever there is room, also where the plan did not expect it: then neither the run
 * that was granted the machine nor the machine is at fault.
 */
export async function crowdedMachine(
  ctx: Context<"table">,
  { uid, run: { grant }, placement }: Pick<Environment, "uid" | "run" | "placement">,
): Promise<Crowded | undefined> {
  const { records, unreadable } = await readLedgerItems(ctx, placement.ledgers);
  const nodes = records.filter((item) => item.kind === "node");
  const shares = grant?.shares ?? [];
  const full = shares.find(({ node, units }) =>
    nodes.some((one) => one.name === node && othersOn(one, uid) + units > one.units),
  );
  const hidden = new Set([...unreadable].map(nodeNameOf));
  const name = full?.node ?? shares.find(({ node }) => node !== null && hidden.has(node))?.node;
  return name ? { name, isFull: full !== undefined } : undefined;
}

function othersOn({ granted, held, foreignUnits, strayUnits }: NodeLedger, uid: string): number {
  const others = [...granted, ...held].filter((entry) => entry.uid !== uid);
  return others.reduce((sum, { units }) => sum + units, foreignUnits + strayUnits);
}
