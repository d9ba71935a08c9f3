import type { Context } from "../../context.ts";
import type { PoolPart } from "../../ports/compute.ts";
import { Problem } from "../../problem.ts";
import type { NewResource } from "../../store/idempotency.ts";
import { utcText } from "../../text/utc.ts";
import { DAY_MS } from "../../units.ts";
import { getGrowth } from "../capacity/groups.ts";
import { isInParts, isSamePart, isWholeType } from "../capacity/pool-parts.ts";
import { readLedger } from "../ledger/ledger.ts";
import { emptyPool } from "../ledger/record.ts";
import {
  type Admission,
  carryAdmission,
  changeAdmission,
  type DrainedPart,
  isDrained,
  type OperatorNote,
  type PlannedDrain,
  readAdmission,
} from "./admission.ts";

/** One item holds all drained and planned parts, and each ledger carries those of its pool. */
const MOST_PARTS = 50;

/**
 * Closes a zone, a node group or a machine of a pool for new grants, and drops a planned drain of it. The first call's
 * note stays, and a repeat succeeds also if the part is gone by then. No grant there is taken after it returns. Throws
 * `notFound` if the pool has no such part, `quota` above 50 parts, and `unavailable`.
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
    if (isDrained(before, type, part)) return before;
    const planned = before.planned?.filter(isOther(type, part));
    return withRoom({ ...before, planned, parts: [...(before.parts ?? []), added] });
  });
  await carryAdmission(ctx, type);
  return admission;
}

/** The latest time of a planned drain, from now. A later one is probably a mistyped year. */
const MOST_AHEAD_MS = 90 * DAY_MS;

/**
 * Plans to drain a part of a pool, or all of it, from the time `from` on, ms. Jobs that would still run then are not
 * started there any more. A later call for the same part replaces the time and the note. Nothing changes if the part is
 * drained already. Throws `invalid` if the time is not within the next 90 days, and what `drainPart` throws.
 */
export async function planDrain(
  ctx: Context<"table" | "queue">,
  type: string,
  part: PoolPart,
  { from, ...note }: OperatorNote & { readonly from: number },
): Promise<Admission> {
  const now = ctx.clock.now();
  if (from <= now || from > now + MOST_AHEAD_MS)
    throw new Problem("invalid", `'at' must be in the future, at most ${MOST_AHEAD_MS / DAY_MS} days ahead`);
  await refuseUnknown(ctx, type, part);
  const added: PlannedDrain = { type, ...part, at: now, ...note, from };
  const admission = await changeAdmission(ctx, (before) => {
    if (isDrained(before, type, part)) return before;
    return withRoom({ ...before, planned: [...(before.planned ?? []).filter(isOther(type, part)), added] });
  });
  await carryAdmission(ctx, type);
  return admission;
}

/**
 * Reopens a part of a pool, or drops its planned drain. The part may be gone from the cluster by now. Throws `notFound`
 * if it is not drained and no drain is planned, unless an earlier try of this request may have reopened it. Throws
 * `unavailable`.
 */
export async function undrainPart(
  ctx: Context<"table" | "queue">,
  type: string,
  part: PoolPart,
  { isRepeat }: Pick<NewResource, "isRepeat"> = { isRepeat: false },
): Promise<Admission> {
  let wasDrained = false;
  const isKept = isOther(type, part);
  const admission = await changeAdmission(ctx, (before) => {
    const { parts = [], planned = [] } = before;
    wasDrained = ![...parts, ...planned].every(isKept);
    return { ...before, parts: parts.filter(isKept), planned: before.planned?.filter(isKept) };
  });
  // Runs in every case, because an earlier call may have failed between the two writes.
  await carryAdmission(ctx, type);
  if (!wasDrained && !isRepeat) {
    const end = admission.planned?.find((plan) => plan.byProvider && plan.type === type && isSamePart(plan, part));
    const why = end ? `, but its provider ends its machines: it closes at ${utcText(end.from)}` : "";
    const name = namePart(part);
    throw new Problem("notFound", `${name} of type ${type} is not drained, and no drain of it is planned${why}`);
  }
  return admission;
}

/** Calls of operators leave the ends that a provider sets as they are. */
function isOther(type: string, part: PoolPart): (known: DrainedPart) => boolean {
  return (known) => known.byProvider === true || known.type !== type || !isSamePart(known, part);
}

function withRoom(admission: Admission): Admission {
  const { parts = [], planned = [] } = admission;
  const coming = planned.filter((plan) => !plan.byProvider && !isDrained(admission, plan.type, plan));
  if (parts.filter(({ byProvider }) => !byProvider).length + coming.length <= MOST_PARTS) return admission;
  throw new Problem("quota", `There are ${MOST_PARTS} drained parts and planned drains already; undrain one first`);
}

/** Returns the words for a part: `Zone 'us-east-2a'`. */
function namePart({ zone, nodeGroup, node }: PoolPart): string {
  if (zone !== undefined) return `Zone '${zone.slice(0, 100)}'`;
  return node === undefined ? `Node group '${nodeGroup?.slice(0, 100)}'` : `Node '${node.slice(0, 100)}'`;
}

/**
 * A mistyped name would drain nothing, and the operator would take the machine to be free. A part that is drained, or
 * will be, may be gone by now.
 */
async function refuseUnknown(ctx: Context<"table">, type: string, part: PoolPart): Promise<void> {
  if (isWholeType(part)) return;
  const { parts = [], planned = [] } = await readAdmission(ctx);
  if (![...parts, ...planned].every(isOther(type, part))) return;
  const { nodes, makeable } = await readLedger(ctx, emptyPool(ctx, type));
  const { members = [], zones = [] } = getGrowth(ctx, makeable) ?? {};
  const isKnown =
    nodes.some((machine) => isInParts([part], machine)) ||
    members.some(({ name }) => name === part.nodeGroup) ||
    zones.some((zone) => zone === part.zone);
  if (!isKnown) throw new Problem("notFound", `${namePart(part)} of type ${type} not found`);
}
