import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Unready } from "../../ports/compute.ts";
import { parseNodeName } from "../../store/keys.ts";
import { readLedgerItems } from "../ledger/ledger.ts";
import type { NodeLedger } from "../ledger/record.ts";

/**
 * Why an unbound run is not to blame. Its machine is full (`full`), may be full (`unreadable`: its ledger item is), or
 * accepts no new runs, with the reason if known (`closed`: unknown). Or the cluster gave no information about the run
 * in time (`unseen`), or refuses such runs for now (`refused`).
 */
export type RevocationCause =
  | { readonly why: "full" | "unreadable" | "gone" | Unready | "closed"; readonly name: string }
  | { readonly why: "unseen" }
  | { readonly why: "refused" };

/**
 * Each try takes a minute or more. A cluster without a scheduler recovers by then or starts no other run either. If the
 * cluster still says nothing, the job itself may be at fault, and each try blocks its machine.
 */
const MOST_UNSEEN = 10;

/** Returns why a withdrawn try does not count, or undefined if it does: the cluster lacks what the run asks for. */
export async function findRevocationCause(
  ctx: Context<"table">,
  environment: Pick<Environment, "uid" | "run" | "placement" | "reason">,
): Promise<RevocationCause | undefined> {
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
  const hidden = new Set([...unreadable].map(parseNodeName));
  const unread = shares.find(({ node }) => node !== null && hidden.has(node))?.node;
  if (unread) return { why: "unreadable", name: unread };
  const closed = granted.find(({ node }) => !node.ready || node.gone)?.node;
  if (closed) return { why: closed.gone ? "gone" : (closed.unready ?? "closed"), name: closed.name };
  // A job that waits for a new machine waits longer than the cluster takes to answer.
  const isPinned = shares.every(({ node }) => node !== null) && (placement.unseen ?? 0) < MOST_UNSEEN;
  return isPinned && reason === null ? { why: "unseen" } : undefined;
}

/**
 * Returns the units that others have on the machine. The cluster may place a run that waits for a new machine on any
 * machine with room. Then neither the run that was granted the machine nor the machine is at fault.
 */
function othersOn({ granted, held, foreignUnits, leftoverUnits }: NodeLedger, uid: string): number {
  const others = [...granted, ...held].filter((entry) => entry.uid !== uid);
  return others.reduce((sum, { units }) => sum + units, foreignUnits + leftoverUnits);
}
