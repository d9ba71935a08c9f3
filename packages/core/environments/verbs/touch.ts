import type { UserContext } from "../../context.ts";
import { changeRecord } from "../../store/write-record.ts";
import { getEnvironment } from "../record/read.ts";
import { type Environment, isEnded } from "../record/record.ts";

/** A sign of use is written only when it moves by more than this: heartbeats are many. */
const MOVES_MS = 60_000;

/**
 * Says that it was used at this moment (ms); the future counts as now, and what is older than the stored one changes
 * nothing. Answers what is stored then. Throws `notFound`.
 */
export async function touchEnvironment(ctx: UserContext<"table">, id: string, at: number): Promise<Environment> {
  return mark(ctx, id, (environment, now) => {
    const lastUsedAt = Math.min(at, now);
    return lastUsedAt - (environment.use.lastUsedAt ?? Number.NEGATIVE_INFINITY) > MOVES_MS
      ? { ...environment, use: { ...environment.use, lastUsedAt } }
      : undefined;
  });
}

/** Says that something may run in it until then (ms): it is not stopped as idle before. Throws `notFound`. */
export async function markBusy(ctx: UserContext<"table">, id: string, until: number): Promise<Environment> {
  return mark(ctx, id, (environment) =>
    until - (environment.use.busyUntil ?? Number.NEGATIVE_INFINITY) > MOVES_MS
      ? { ...environment, use: { ...environment.use, busyUntil: until } }
      : undefined,
  );
}

/** When it is looked at next stays as it is. */
async function mark(
  ctx: UserContext<"table">,
  id: string,
  moved: (environment: Environment, now: number) => Environment | undefined,
): Promise<Environment> {
  const { record, read } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    decide(environment): Environment | undefined {
      return isEnded(environment) ? undefined : moved(environment, ctx.clock.now());
    },
    what: `The ${ctx.noun} ${id} is`,
  });
  return record ?? read;
}
