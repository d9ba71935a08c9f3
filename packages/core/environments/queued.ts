import { findPool, type Grant, knowsOf } from "../pools/record.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { closeActions } from "./actions.ts";
import { changed, tellingPool, until } from "./pace.ts";
import type { Environment } from "./record.ts";
import { decideEnd, enter } from "./transitions.ts";

/** While the pool knows that it waits: the pool looks at itself every minute and repeats what it granted. */
const KNOWN_MS = 300_000;
/** While the pool has not seen it yet. */
const UNKNOWN_MS = 5_000;
const HOUR_MS = 3_600_000;

/** Takes its grant if the ledger has one, makes itself known to the pool if it does not, ends if it shall. */
export async function stepQueued(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const over = waitedTooLong(ctx, environment, now);
  if (over.outcome) {
    const { phase, reason } = over.outcome;
    const ended = { ...enter(over, phase, now, reason), endedAt: now };
    return tellingPool(changed(closeActions(ended, ["cancel", "extend"], now), now, phase));
  }
  const extended = closeActions(environment, ["extend"], now);
  const pool = await findPool(ctx, environment.size.pool);
  const grant = pool?.granted.find((one) => one.uid === environment.uid && one.run === environment.run);
  if (grant) return tellingPool(changed(takeGrant(extended, grant, now), now, "took its grant"));

  if ((environment.dueAt ?? now) > now) return undefined;
  if (pool && knowsOf(pool, environment)) return until(extended, now + KNOWN_MS, "waits");
  return tellingPool(until(extended, now + UNKNOWN_MS, "asked its pool"));
}

function waitedTooLong(ctx: WorkerContext, environment: Environment, now: number): Environment {
  const { maxQueueHours } = ctx.settings;
  if (environment.outcome || now - environment.createdAt < maxQueueHours * HOUR_MS) return environment;
  const reason = `Waited in the queue for ${maxQueueHours} hours`;
  return decideEnd(environment, { phase: "cancelled", reason, at: now });
}

/** The environment takes its grant itself, in one conditional write that names it (design section 3). */
function takeGrant(environment: Environment, grant: Grant, now: number): Environment {
  const nodes = grant.shares.map((share) => share.node ?? "a node still to be made");
  const taken: Environment = {
    ...environment,
    grant: { shares: grant.shares, at: now },
    preparingAt: now,
    appliedAt: null,
    withdrawing: false,
  };
  return { ...enter(taken, "preparing", now, `Capacity granted on ${nodes.join(", ")}`), step: "pod" };
}
