import { queueHours } from "../../pools/admission/waiting-limit.ts";
import { readMakeable } from "../../pools/ledger/ledger.ts";
import { findPool, type Pool } from "../../pools/ledger/record.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { HOUR_MS } from "../../units.ts";
import type { EndPhase } from "../record/phases.ts";
import type { Environment } from "../record/record.ts";
import { changed } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";
import { ALARM_MS, type Deadline, findDeadline, type Limits } from "./deadlines.ts";
import { endAttempt } from "./end/backup.ts";
import { endByLimit } from "./end/end-run.ts";
import { endInQueue, giveUp } from "./start/queued.ts";

/** Returns the step for a passed limit. Runs before any outside call, so that no failure can delay an end. */
export async function stepOverdue(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const deadline = await passedDeadline(ctx, environment, now);
  if (!deadline) return undefined;
  const { outcome, reason, at } = deadline;
  if (outcome === "alarm") return alarm(ctx, environment, deadline, now);
  if (outcome === "attempt") return endAttempt(ctx, environment, now);
  if (environment.phase !== "queued") return endByLimit(environment, { phase: outcome, reason, at }, now);
  if (mayStop(environment, outcome)) return giveUp(environment, now, reason);
  return endInQueue(ctx, environment, { phase: outcome, reason, at: now }, now);
}

async function passedDeadline(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Deadline | undefined> {
  const first = findDeadline(environment, ctx.settings);
  const isPassed = (deadline: Deadline | undefined) => (deadline && now >= deadline.at ? deadline : undefined);
  const isOfQueue = isPassed(first) && environment.phase === "queued" && first?.outcome === "cancelled";
  const kept = isOfQueue && (await keptPlace(ctx, environment));
  if (!kept) return isPassed(first);
  const others = isPassed(findDeadline(environment, ctx.settings, true));
  return others ?? (kept === "first" ? isPassed(firstInLineLimit(environment, ctx.settings)) : undefined);
}

/** Returns why it stays past the queue limit: its pool is `closed` or unreadable, or it is `first` in line. */
async function keptPlace(ctx: WorkerContext, { size, uid }: Environment): Promise<"closed" | "first" | undefined> {
  try {
    const pool = await findPool(ctx, size.pool);
    if (pool && (pool.closed || (await isHalted(ctx, pool)))) return "closed";
    return pool && (pool.head?.uid === uid || Object.hasOwn(pool.offered, uid)) ? "first" : undefined;
  } catch (error) {
    // A newer version wrote the ledger, and only that version can decide the end of this wait.
    if (error instanceof Unreadable) return error.isNewer ? "closed" : undefined;
    throw error;
  }
}

async function isHalted(ctx: WorkerContext, { type, summary }: Pool): Promise<boolean> {
  if (summary.unreadableItems === 0) return false;
  return (await unlessUnreadable(ctx, () => readMakeable(ctx, type))) === undefined;
}

function firstInLineLimit({ queuedAt }: Environment, settings: Limits): Deadline {
  const hours = queueHours(settings, true);
  const reason = `Waited in the queue for ${hours} hours, finally as the first in line`;
  return { at: queuedAt + hours * HOUR_MS, outcome: "cancelled", reason };
}

function mayStop({ policy }: Environment, outcome: EndPhase): boolean {
  return policy.restarts && outcome !== "expired";
}

function alarm(ctx: WorkerContext, environment: Environment, { reason }: Deadline, now: number): Step<Environment> {
  const {
    uid,
    run: { n: run },
    phase,
  } = environment;
  ctx.log.error("stops for too long", { uid, run, phase, minutes: ALARM_MS / 60_000, reason });
  const noted = addEntry({ ...environment, end: { ...environment.end, alarmedAt: now } }, now, reason);
  return changed(noted, now, "stops for too long");
}
