import type { Context } from "../context.ts";
import type { Environment } from "../environments/record.ts";
import { readLedgerItems } from "./ledger.ts";
import type { NodeLedger } from "./record.ts";

/**
 * The name of a machine that this run was granted and that others fill by now; undefined: there is none. The cluster puts
 * a run that waits for a new machine wherever there is room, also where the plan did not expect it: then neither the run
 * that was granted the machine nor the machine is at fault.
 */
export async function crowdedMachine(
  ctx: Context<"table">,
  { uid, run: { grant }, placement }: Pick<Environment, "uid" | "run" | "placement">,
): Promise<string | undefined> {
  const { records } = await readLedgerItems(ctx, placement.ledgers);
  const nodes = records.filter((item) => item.kind === "node");
  const share = grant?.shares.find(({ node, units }) =>
    nodes.some((one) => one.name === node && othersOn(one, uid) + units > one.units),
  );
  return share?.node ?? undefined;
}

function othersOn({ granted, held, foreignUnits, strayUnits }: NodeLedger, uid: string): number {
  const others = [...granted, ...held].filter((entry) => entry.uid !== uid);
  return others.reduce((sum, { units }) => sum + units, foreignUnits + strayUnits);
}
