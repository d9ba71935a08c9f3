import type { UserContext } from "../context.ts";
import { Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { getEnvironment } from "./read.ts";
import { type Environment, isEnded } from "./record.ts";

/** A sign of use is written only when it moves by more than this: heartbeats are many. */
const MOVES_MS = 60_000;
const TRIES = 5;

/**
 * Says that it was used at this moment (ms); the future counts as now, and what is older than the stored one changes
 * nothing. Answers what is stored then. Throws `notFound`.
 */
export async function touchEnvironment(ctx: UserContext<"table">, id: string, at: number): Promise<Environment> {
  return mark(ctx, id, (environment, now) => {
    const lastUsedAt = Math.min(at, now);
    return lastUsedAt - (environment.lastUsedAt ?? Number.NEGATIVE_INFINITY) > MOVES_MS ? { lastUsedAt } : undefined;
  });
}

/** Says that something may run in it until then (ms): it is not stopped as idle before. Throws `notFound`. */
export async function markBusy(ctx: UserContext<"table">, id: string, until: number): Promise<Environment> {
  return mark(ctx, id, ({ busyUntil }) =>
    until - (busyUntil ?? Number.NEGATIVE_INFINITY) > MOVES_MS ? { busyUntil: until } : undefined,
  );
}

/** When it is looked at next stays as it is. */
async function mark(
  ctx: UserContext<"table">,
  id: string,
  moved: (environment: Environment, now: number) => Partial<Environment> | undefined,
): Promise<Environment> {
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const marks = moved(environment, ctx.clock.now());
    if (!marks || isEnded(environment)) return environment;
    const written = { ...environment, ...marks, version: environment.version + 1 };
    if (await putIf(ctx, written, environment.version)) return written;
  }
  throw new Problem("unavailable", `The ${ctx.noun} ${id} is changing too fast, try again`, { retryAfterSeconds: 1 });
}
