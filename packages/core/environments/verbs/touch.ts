import type { UserContext } from "../../context.ts";
import { changeRecord } from "../../store/write-record.ts";
import { getEnvironment } from "../record/read.ts";
import { type Environment, isEnded } from "../record/record.ts";

/** A smaller change is not written, because heartbeats are frequent. */
const MOVES_MS = 60_000;

/** Records use, but never a future or an earlier time than stored. Throws `notFound`. */
export async function touchEnvironment(ctx: UserContext<"table">, id: string, at: number): Promise<Environment> {
  return mark(ctx, id, (environment, now) => {
    const lastUsedAt = Math.min(at, now);
    return lastUsedAt - (environment.use.lastUsedAt ?? Number.NEGATIVE_INFINITY) > MOVES_MS
      ? { ...environment, use: { ...environment.use, lastUsedAt } }
      : undefined;
  });
}

export async function markBusy(ctx: UserContext<"table">, id: string, until: number): Promise<Environment> {
  return mark(ctx, id, (environment) =>
    until - (environment.use.busyUntil ?? Number.NEGATIVE_INFINITY) > MOVES_MS
      ? { ...environment, use: { ...environment.use, busyUntil: until } }
      : undefined,
  );
}

async function mark(
  ctx: UserContext<"table">,
  id: string,
  moved: (environment: Environment, now: number) => Environment | undefined,
): Promise<Environment> {
  const { record, read: storedEnvironment } = await changeRecord(ctx, {
    read: () => getEnvironment(ctx, id),
    decide(environment): Environment | undefined {
      return isEnded(environment) ? undefined : moved(environment, ctx.clock.now());
    },
    what: `The ${ctx.noun} ${id} is`,
  });
  return record ?? storedEnvironment;
}
