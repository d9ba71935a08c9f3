import type { Item, Look } from "../context.ts";
import { keyText, poolKey } from "../keys.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { stepActive } from "./active.ts";
import { stepEnded, stepStopping } from "./ending.ts";
import { droppingOldCopy } from "./log.ts";
import { stepPreparing } from "./preparing.ts";
import { stepQueued } from "./queued.ts";
import { type Environment, type Phase, parseEnvironment } from "./record.ts";

export type EnvironmentStep = Step<Environment>;

type StepOf = (ctx: WorkerContext, environment: Environment, now: number) => Promise<EnvironmentStep | undefined>;

const steps = {
  queued: stepQueued,
  preparing: stepPreparing,
  active: stepActive,
  stopping: stepStopping,
  stopped: stepEnded,
  completed: stepEnded,
  expired: stepEnded,
  cancelled: stepEnded,
  failed: stepEnded,
  deleted: stepEnded,
} satisfies Record<Phase, StepOf>;

/** The one next step of an environment; undefined: there was nothing to do and nothing is written. */
export async function stepEnvironment(
  ctx: WorkerContext,
  item: Item,
  now: number,
): Promise<EnvironmentStep | undefined> {
  const environment = parseEnvironment(item);
  const step = await steps[environment.phase](ctx, environment, now);
  if (!step) return undefined;
  return droppingOldCopy(environment, { ...step, record: { ...step.record, attempts: 0, fault: null } });
}

/**
 * A planner that granted something says so by naming the pool: such a look at a queued environment reads the ledger
 * although the record is not due, as a look at a pool that names an environment does (design section 3).
 */
export function wantsLook(item: Item, message: Look): boolean {
  const size = item.size as { pool?: unknown } | undefined;
  if (item.phase !== "queued" || typeof size?.pool !== "string") return false;
  return message.for?.includes(keyText(poolKey(size.pool))) ?? false;
}
