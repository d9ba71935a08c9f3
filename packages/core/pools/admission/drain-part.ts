import type { Context } from "../../context.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { Problem } from "../../problem.ts";
import { getGrowth } from "../capacity/groups.ts";
import { isSamePart } from "../capacity/pool-parts.ts";
import { readLedger } from "../ledger/ledger.ts";
import { emptyPool } from "../ledger/record.ts";
import { type Admission, carryAdmission, changeAdmission, type DrainedPart, type OperatorNote } from "./admission.ts";

/** One item holds all drained parts, and each ledger carries those of its pool. */
const MOST_PARTS = 50;

/**
 * Closes a zone, a node group or a machine of a pool for new grants. The first call's note stays. No grant there is taken after it
 * returns. Throws `notFound` if the pool has no such part, `quota` above 50 parts, and `unavailable`.
 */
export async function drainPart(
  ctx: Context<"table" | "queue">,
  type: string,
  part: PoolPart,
  note: OperatorNote,
): Promise<Admission> {
  await refuseUnknown(ctx, type, part);
  const added: DrainedPart = { type, ...part, at: ctx.clock.now(), ...note };
  const admission = await changeAdmission(ctx, (before) => {
    const { parts = [] } = before;
    if (parts.some((known) => known.type === type && isSamePart(known, part))) return before;
    if (parts.length < MOST_PARTS) return { ...before, parts: [...parts, added] };
    throw new Problem("quota", `${MOST_PARTS} zones, node groups and nodes are drained already; undrain one first`);
  });
  await carryAdmission(ctx, type);
  return admission;
}

/** Reopens a part of a pool. The part may be gone from the cluster by now. Throws `unavailable`. */
export async function undrainPart(ctx: Context<"table" | "queue">, type: string, part: PoolPart): Promise<Admission> {
  const admission = await changeAdmission(ctx, (before) => {
    const { parts = [] } = before;
    return { ...before, parts: parts.filter((known) => known.type !== type || !isSamePart(known, part)) };
  });
  await carryAdmission(ctx, type);
  return admission;
}

/** A mistyped name would drain nothing, and the operator would take the machine to be free. */
async function refuseUnknown(ctx: Context<"table">, type: string, { zone, nodeGroup, node }: PoolPart): Promise<void> {
  const { nodes, makeable } = await readLedger(ctx, emptyPool(ctx, type));
  if (node !== undefined && nodes.every(({ name }) => name !== node))
    throw new Problem("notFound", `Node '${node.slice(0, 100)}' of type ${type} not found`);
  const growth = getGrowth(ctx, makeable);
  const names = [...(growth?.members ?? []).map(({ name }) => name), ...nodes.map(({ group }) => group)];
  if (nodeGroup !== undefined && !names.includes(nodeGroup))
    throw new Problem("notFound", `Node group '${nodeGroup.slice(0, 100)}' of type ${type} not found`);
  if (zone === undefined) return;
  if (!growth?.zones.includes(zone) && nodes.every((machine) => machine.zone !== zone))
    throw new Problem("notFound", `Zone '${zone.slice(0, 100)}' of type ${type} not found`);
}
