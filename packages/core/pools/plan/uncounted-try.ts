import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Unready } from "../../ports/compute.ts";
import { nodeNameOf } from "../../store/keys.ts";
import { readLedgerItems } from "../ledger/ledger.ts";
import type { NodeLedger } from "../ledger/record.ts";

/**
 * Why a run that nothing bound is not to blame: others fill the machine that it was granted (`full`), or may fill it
 * (`unreadable`: its ledger item is), or nothing new comes to that machine, for what is known of it (`closed`: nothing),
 * or the cluster was away or too slow to say anything of the run (`unseen`), or takes no such run now (`refused`).
 */
export type Excuse =
  | { readonly why: "full" | "unreadable" | "gone" | Unready | "closed"; readonly name: string }
  | { readonly why: "unseen" }
  | { readonly why: "refused" };

/**
 * Each takes a minute and more. A cluster whose scheduler is away is back by then, or takes nobody else's run either; but
 * what the cluster never says a word of may be the job's own fault, and it holds its machine against others at each try.
 */
const MOST_UNSEEN = 10;

/**
 * Why a try whose grant is withdrawn does not count. Undefined: it asks for what the cluster does not have, so each try
 * counts.
 */
export async function whyUncounted(
  ctx: Context<"table">,
  environment: Pick<Environment, "uid" | "run" | "placement" | "reason">,
): Promise<Excuse | undefined> {
  const { run, placement, reason } = environment;
  if (run.refusedForNow) return { why: "refused" };
  const shares = run.grant?.shares ?? [];
  const { records, unreadable } = await readLedgerItems(ctx, placement.ledgers);
  const nodes = records.filter((item) => item.kind === "node");
  const granted = shares.flatMap((share) => {
    const node = nodes.find(({ name }) => name === share.node);
    return node ? [{ node, units: share.units }] : [];
  });
  const full = granted.find(({ node, units }) => othersOn(node, environment.uid) + units > node.units)?.node;
  if (full) return { why: "full", name: full.name };
  const hidden = new Set([...unreadable].map(nodeNameOf));
  const unread = shares.find(({ node }) => node !== null && hidden.has(node))?.node;
  if (unread) return { why: "unreadable", name: unread };
  const closed = granted.find(({ node }) => !node.ready || node.gone)?.node;
  if (closed) return { why: closed.gone ? "gone" : (closed.unready ?? "closed"), name: closed.name };
  // Whoever waits for a machine that is still to be made waits for longer than for the cluster's word.
  const isPinned = shares.every(({ node }) => node !== null) && (placement.unseen ?? 0) < MOST_UNSEEN;
  return isPinned && reason === null ? { why: "unseen" } : undefined;
}

/**
 * The cluster puts a run that waits for a new machine wherever there is room, also where the plan did not expect it: then
 * neither the run that was granted the machine nor the machine is at fault.
 */
function othersOn({ granted, held, foreignUnits, leftoverUnits }: NodeLedger, uid: string): number {
  const others = [...granted, ...held].filter((entry) => entry.uid !== uid);
  return others.reduce((sum, { units }) => sum + units, foreignUnits + leftoverUnits);
}
