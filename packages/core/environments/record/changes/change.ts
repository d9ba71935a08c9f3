import type { UserContext } from "../../../context.ts";
import type { Key } from "../../../ports/table.ts";
import { Problem } from "../../../problem.ts";
import { requestReconcile } from "../../../reconciler/request-reconcile.ts";
import { keyText, poolKey } from "../../../store/keys.ts";
import { changeRecord } from "../../../store/write-record.ts";
import { emitEvents } from "../../../webhooks/outbox.ts";
import { getEnvironment } from "../read.ts";
import { type Environment, isWaiting, toKey } from "../record.ts";

/** Returns the environment as it shall be, or the same object to write nothing. */
type Decide = (environment: Environment, now: number, token: string) => Environment | Promise<Environment>;

/**
 * Changes the caller's environment in one conditional write and requests reconciles of it and its pool. Returns the
 * stored record. Throws `notFound`, or `unavailable` if other writers always win.
 */
export async function changeEnvironment(
  ctx: UserContext<"table" | "queue">,
  id: string,
  decide: Decide,
): Promise<Environment> {
  const { record, read: result } = await changeRecord(ctx, {
    read: async () => {
      const now = ctx.clock.now();
      // Emit first, because `decide` may change the receiver: earlier events belong to the earlier receiver.
      return { now, ...(await emitEvents(ctx, await getEnvironment(ctx, id), now)) };
    },
    decide: async ({ emitted, now }, token) => {
      const decided = await decide(emitted, now, token);
      return decided === emitted ? undefined : { ...decided, dueAt: now, looks: 0 };
    },
    what: `The ${ctx.noun} ${id} is`,
  });
  if (!record) return result.emitted;
  await Promise.all([
    requestReconciles(ctx, result.emitted, record),
    ...result.deliveries.map((delivery) => requestReconcile(ctx, delivery)),
  ]);
  return record;
}

/** Throws `notFound` if the environment is being deleted, and `conflict` if its policy has no restarts. */
export function refuseUnlessRestartable(ctx: UserContext, environment: Environment, verb: string): void {
  const {
    id,
    end: { outcome },
    phase,
    policy,
  } = environment;
  if (outcome?.phase === "deleted") throw new Problem("notFound", `${ctx.noun} ${id} not found`);
  if (policy.restarts && !outcome) return;
  throw new Problem("conflict", `Cannot ${verb} ${ctx.noun} ${id} in status ${outcome?.phase ?? phase}`);
}

async function requestReconciles(ctx: UserContext<"queue">, before: Environment, after: Environment): Promise<void> {
  const key: Key = toKey(after);
  const pools = [before, after].filter(isWaiting).map(({ size }) => size.pool);
  const messages = [...new Set(isWaiting(before) && isWaiting(after) ? [] : pools)].map((pool) =>
    requestReconcile(ctx, poolKey(pool), { for: [keyText(key)] }),
  );
  await Promise.all([requestReconcile(ctx, key), ...messages]);
}

/** Adds labels, even to an ended environment. Changes neither its state nor when it is due. Throws `notFound`. */
export async function labelEnvironment(
  ctx: UserContext<"table">,
  id: string,
  labels: Environment["labels"],
): Promise<Environment> {
  const { record, read: storedEnvironment } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    decide: (environment): Environment => ({ ...environment, labels: { ...environment.labels, ...labels } }),
    what: `The ${ctx.noun} ${id} is`,
  });
  return record ?? storedEnvironment;
}
