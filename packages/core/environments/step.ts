import type { Item, Look } from "../context.ts";
import { keyText, poolKey } from "../keys.ts";
import { dueWhileUntold, hasUntold, tellReceiver } from "../webhooks/outbox.ts";
import type { Step, WorkerContext } from "../worker.ts";
import { stepActive } from "./active.ts";
import { nextDeadline } from "./deadlines.ts";
import { stepEnded, stepStopping } from "./ending.ts";
import { droppingOldCopy } from "./log.ts";
import { stepPreparing } from "./preparing.ts";
import { stepQueued } from "./queued.ts";
import { type Environment, type Phase, parseEnvironment } from "./record.ts";
import { stepStopped } from "./stopped.ts";
import { lookForStrays } from "./strays.ts";

export type EnvironmentStep = Step<Environment>;

type StepOf = (ctx: WorkerContext, environment: Environment, now: number) => Promise<EnvironmentStep | undefined>;

const steps = {
  queued: stepQueued,
  preparing: stepPreparing,
  active: stepActive,
  stopping: stepStopping,
  stopped: stepStopped,
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
  if (hasUntold(environment)) return tellReceiver(ctx, environment, now);
  const mayStray = environment.straysAt !== null && now >= environment.straysAt && isUnderWay(environment);
  const stepOf = mayStray ? lookForStrays : steps[environment.phase];
  const step = await stepOf(ctx, environment, now);
  if (!step) return undefined;
  const over = { ...step, record: { ...inTime(step.record), attempts: 0, fault: null } };
  return dueWhileUntold(droppingOldCopy(environment, over), now);
}

function isUnderWay({ phase }: Environment): boolean {
  return phase === "queued" || phase === "preparing" || phase === "active";
}

/** Whatever it waits for, no deadline is missed. */
function inTime(environment: Environment): Environment {
  const deadline = nextDeadline(environment);
  return deadline < (environment.dueAt ?? 0) ? { ...environment, dueAt: deadline } : environment;
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
