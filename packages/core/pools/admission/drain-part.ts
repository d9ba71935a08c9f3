import type { Context } from "../../context.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { Problem } from "../../problem.ts";
import { getGrowth } from "../capacity/groups.ts";
import { isInParts, isSamePart } from "../capacity/pool-parts.ts";
import { readLedger } from "../ledger/ledger.ts";
import { emptyPool } from "../ledger/record.ts";
import {
  type Admission,
  carryAdmission,
  changeAdmission,
  type DrainedPart,
  type OperatorNote,
  readAdmission,
} from "./admission.ts";

/** One item holds all drained parts, and each ledger carries those of its pool. */
const MOST_PARTS = 50;

/**
 * Closes a zone, a node group or a machine of a pool for new grants. The first call's note stays, and a repeat succeeds
 * also if the part is gone by then. No grant there is taken after it returns. Throws `notFound` if the pool has no such
 * part, `quota` above 50 parts, and `unavailable`.
 */
export async function drainPart(
  ctx: Context<"table" | "queue">,
  type: string,
  part: PoolPart,
  note: OperatorNote,
): Promise<Admission> {
  const isIt = (known: DrainedPart) => known.type === type && isSamePart(known, part);
  if (!(await readAdmission(ctx)).parts?.some(isIt)) await refuseUnknown(ctx, type, part);
  const added: DrainedPart = { type, ...part, at: ctx.clock.now(), ...note };
  const admission = await changeAdmission(ctx, (before) => {
    const { parts = [] } = before;
    if (parts.some(isIt)) return before;
    if (parts.length < MOST_PARTS) return { ...before, parts: [...parts, added] };
    throw new Problem("quota", `${MOST_PARTS} zones, node groups and nodes are drained already; undrain one first`);
  });
  await carryAdmission(ctx, type);
  return admission;
}

/**
 * Reopens a part of a pool. The part may be gone from the cluster by now. Throws `notFound` if it is not drained, and
 * `unavailable`.
 */
export async function undrainPart(ctx: Context<"table" | "queue">, type: string, part: PoolPart): Promise<Admission> {
  let wasDrained = false;
  const admission = await changeAdmission(ctx, (before) => {
    const { parts = [] } = before;
    const others = parts.filter((known) => known.type !== type || !isSamePart(known, part));
    wasDrained = others.length < parts.length;
    return wasDrained ? { ...before, parts: others } : before;
  });
  // Runs in every case, because an earlier call may have failed between the two writes.
  await carryAdmission(ctx, type);
  if (!wasDrained) throw new Problem("notFound", `${namePart(part)} of type ${type} is not drained`);
  return admission;
}

/** Returns the words for a part: `Zone 'us-east-2a'`. */
function namePart({ zone, nodeGroup, node }: PoolPart): string {
  if (zone !== undefined) return `Zone '${zone.slice(0, 100)}'`;
  return node === undefined ? `Node group '${nodeGroup?.slice(0, 100)}'` : `Node '${node.slice(0, 100)}'`;
}

/** A mistyped name would drain nothing, and the operator would take the machine to be free. */
async function refuseUnknown(ctx: Context<"table">, type: string, part: PoolPart): Promise<void> {
  const { nodes, makeable } = await readLedger(ctx, emptyPool(ctx, type));
  const { members = [], zones = [] } = getGrowth(ctx, makeable) ?? {};
  const isKnown =
    nodes.some((machine) => isInParts([part], machine)) ||
    members.some(({ name }) => name === part.nodeGroup) ||
    zones.some((zone) => zone === part.zone);
  if (!isKnown) throw new Problem("notFound", `${namePart(part)} of type ${type} not found`);
}
