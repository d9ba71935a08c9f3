import type { UserContext } from "../../../context.ts";
import type { Key } from "../../../ports/table.ts";
import { Problem } from "../../../problem.ts";
import { sendLook } from "../../../reconciler/look.ts";
import { keyText, poolKey } from "../../../store/keys.ts";
import { changeRecord } from "../../../store/write-record.ts";
import { emitEvents } from "../../../webhooks/outbox.ts";
import { getEnvironment } from "../read.ts";
import { type Environment, isWaiting, keyOf } from "../record.ts";

/** What an environment shall be; the very record that was read: it is so already, and nothing is written. */
type Decide = (environment: Environment, now: number, token: string) => Environment | Promise<Environment>;

/**
 * Reads, decides, writes if nobody else did, makes it due and sends one look; also to its pool where it begins or
 * ceases to wait. Answers what is stored then. Throws `notFound`, and `unavailable` when others are always faster.
 */
export async function changeEnvironment(
  ctx: UserContext<"table" | "queue">,
  id: string,
  decide: Decide,
): Promise<Environment> {
  const { record, read } = await changeRecord(ctx, {
    read: async () => {
      const now = ctx.clock.now();
      // Before the receiver may become another: what happened so far goes to whom it was meant for.
      return { now, ...(await emitEvents(ctx, await getEnvironment(ctx, id), now)) };
    },
    decide: async ({ emitted, now }, token) => {
      const decided = await decide(emitted, now, token);
      return decided === emitted ? undefined : { ...decided, dueAt: now, looks: 0 };
    },
    what: `The ${ctx.noun} ${id} is`,
  });
  if (!record) return read.emitted;
  await Promise.all([
    sendLooks(ctx, read.emitted, record),
    ...read.deliveries.map((delivery) => sendLook(ctx, delivery)),
  ]);
  return record;
}

/** Throws `notFound` for what is on its way to be deleted, `conflict` for what lives once only. */
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

async function sendLooks(ctx: UserContext<"queue">, before: Environment, after: Environment): Promise<void> {
  const key: Key = keyOf(after);
  const pools = [before, after].filter(isWaiting).map(({ size }) => size.pool);
  const looks = [...new Set(isWaiting(before) && isWaiting(after) ? [] : pools)].map((pool) =>
    sendLook(ctx, poolKey(pool), { for: [keyText(key)] }),
  );
  await Promise.all([sendLook(ctx, key), ...looks]);
}
