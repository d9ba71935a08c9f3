import type { Key, UserContext } from "../context.ts";
import { keyText, poolKey } from "../keys.ts";
import { sendLook } from "../look.ts";
import { Conflict, Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { emitEvents } from "../webhooks/outbox.ts";
import { getEnvironment } from "./read.ts";
import { type Environment, isWaiting, keyOf } from "./record.ts";

/** What an environment shall be; the very record that was read: it is so already, and nothing is written. */
type Decide = (environment: Environment, now: number) => Environment | Promise<Environment>;

const TRIES = 5;

/**
 * Reads, decides, writes if nobody else did, makes it due and sends one look; also to its pool where it begins or
 * ceases to wait. Answers what is stored then. Throws `notFound`, and `unavailable` when others are always faster.
 */
export async function changeEnvironment(
  ctx: UserContext<"table" | "queue">,
  id: string,
  decide: Decide,
): Promise<Environment> {
  for (let tries = 0; tries < TRIES; tries++) {
    const read = await getEnvironment(ctx, id);
    const now = ctx.clock.now();
    // Before the receiver may become another: what happened so far goes to whom it was meant for.
    const { told: environment, deliveries } = await emitEvents(ctx, read, now);
    const decided = await decidedOr(environment, now, decide);
    if (decided === environment) return environment;
    const written = decided && { ...decided, version: environment.version + 1, dueAt: now, looks: 0 };
    if (!written || !(await putIf(ctx, written, environment.version))) continue;
    await Promise.all([tell(ctx, environment, written), ...deliveries.map((delivery) => sendLook(ctx, delivery))]);
    return written;
  }
  throw new Problem("unavailable", `The ${ctx.noun} ${id} is changing too fast, try again`, { retryAfterSeconds: 1 });
}

/** Throws `notFound` for what is on its way to be deleted, `conflict` for what lives once only. */
export function refuseUnlessRestartable(ctx: UserContext, environment: Environment, verb: string): void {
  const { id, outcome, phase, policy } = environment;
  if (outcome?.phase === "deleted") throw new Problem("notFound", `${ctx.noun} ${id} not found`);
  if (policy.restarts && !outcome) return;
  throw new Problem("conflict", `Cannot ${verb} ${ctx.noun} ${id} in status ${outcome?.phase ?? phase}`);
}

/** undefined: what the decision rests on changed meanwhile. */
async function decidedOr(environment: Environment, now: number, decide: Decide): Promise<Environment | undefined> {
  try {
    return await decide(environment, now);
  } catch (error) {
    if (error instanceof Conflict) return undefined;
    throw error;
  }
}

async function tell(ctx: UserContext<"queue">, before: Environment, after: Environment): Promise<void> {
  const key: Key = keyOf(after);
  const pools = [before, after].filter(isWaiting).map(({ size }) => size.pool);
  const looks = [...new Set(isWaiting(before) && isWaiting(after) ? [] : pools)].map((pool) =>
    sendLook(ctx, poolKey(pool), { for: [keyText(key)] }),
  );
  await Promise.all([sendLook(ctx, key), ...looks]);
}
