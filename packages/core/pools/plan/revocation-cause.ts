import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import { type Share, type Unready, unreadies } from "../../ports/compute.ts";
import { parseNodeName } from "../../store/keys.ts";
import { currentInterruption } from "../capacity/interruption.ts";
import { isInParts } from "../capacity/pool-parts.ts";
import { findLedger, readLedgerItems } from "../ledger/ledger.ts";
import type { NodeLedger } from "../ledger/record.ts";
import { usableNodes } from "./plan-input.ts";
import { isInZone } from "./zones.ts";

/**
 * Why an unbound run is not to blame. Its machine is full (`full`), may be full (`unreadable`: its ledger item is), or
 * accepts no new runs, with the reason if known (`closed`: unknown). Or the cluster gave no information about the run
 * in time (`unseen`), or refuses such runs for now (`refused`). Or the machine that it waited for did not come (`unmade`).
 */
export type RevocationCause =
  | { readonly why: "full" | "unreadable" | "gone" | Unready | "closed"; readonly name: string }
  | { readonly why: "unseen" }
  | { readonly why: "refused" }
  | { readonly why: "unmade" };

/**
 * Each try takes a minute or more. A cluster without a scheduler recovers by then or starts no other run either. If the
 * cluster still says nothing, the job itself may be at fault, and each try blocks its machine.
 */
const MOST_UNSEEN = 10;

/** Returns why a withdrawn try does not count, or undefined if it does: the cluster lacks what the run asks for. */
export async function findRevocationCause(
  ctx: Context<"table">,
  environment: Pick<Environment, "uid" | "run" | "placement" | "reason" | "size" | "zone">,
  now: number,
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
  const closed = granted.find(({ node }) => !node.ready || node.gone || currentInterruption(node, now))?.node;
  if (closed) return { why: closed.gone ? "gone" : (closed.unready ?? "closed"), name: closed.name };
  // It may have recovered while the run was removed.
  if (run.refusedByNode !== undefined) return { why: "closed", name: run.refusedByNode };
  // A machine that refused the run exists, so the following causes do not apply.
  if (run.isRejected) return undefined;
  if (shares.some(({ node }) => node === null)) {
    if (run.lacks !== undefined) return { why: "unmade" };
    const blamesRun = run.lacksVolume !== undefined || (await haveCome(ctx, environment, shares, now));
    return blamesRun ? undefined : { why: "unmade" };
  }
  return reason === null && (placement.unseen ?? 0) < MOST_UNSEEN ? { why: "unseen" } : undefined;
}

type Refusal = Extract<RevocationCause, { readonly name: string }>;

const refusals: ReadonlySet<RevocationCause["why"]> = new Set(["full", "gone", "closed", ...unreadies]);

/** Reports whether the run's own machine takes it no more. */
export function isRefusedByMachine(cause: RevocationCause | undefined): cause is Refusal {
  return cause !== undefined && refusals.has(cause.why);
}

/**
 * Reports whether the pool has room for the shares without a machine on others than the run's own, outside of the parts
 * that the run avoids: those may be open again. Then the cluster refused the run itself. Other runs that wait for new
 * machines may be bound there already, although the ledger does not show it yet.
 */
async function haveCome(
  ctx: Context<"table">,
  { uid, run, size, zone }: Pick<Environment, "uid" | "run" | "size" | "zone">,
  shares: readonly Share[],
  now: number,
): Promise<boolean> {
  const ledger = await findLedger(ctx, size.pool);
  const awaited = shares.filter(({ node }) => node === null);
  const own = new Set(shares.map(({ node }) => node));
  const wanted = zone ?? awaited[0]?.zone ?? null;
  const group = awaited[0]?.group;
  const avoids = run.grant?.avoids ?? [];
  const withRoom = (ledger ? usableNodes(ledger, now) : []).filter(
    (node) =>
      !own.has(node.name) &&
      !isInParts(avoids, node) &&
      isInZone(node, wanted) &&
      (group === undefined || node.group === group) &&
      awaited.every(({ units }) => othersOn(node, uid) + units <= node.units),
  );
  const rivals = (ledger?.makeable.held ?? []).filter((entry) => {
    return entry.uid !== uid && withRoom.some((node) => isInZone(node, entry.zone ?? null));
  });
  return withRoom.length - countMachines(rivals) >= awaited.length;
}

function countMachines(entries: readonly { readonly machines: number }[]): number {
  return entries.reduce((sum, { machines }) => sum + machines, 0);
}

/**
 * Returns the units that others have on the machine. The cluster may place a run that waits for a new machine on any
 * machine with room. Then neither the run that was granted the machine nor the machine is at fault.
 */
function othersOn({ granted, held, foreignUnits, leftoverUnits }: NodeLedger, uid: string): number {
  const others = [...granted, ...held].filter((entry) => entry.uid !== uid);
  return others.reduce((sum, { units }) => sum + units, foreignUnits + leftoverUnits);
}
