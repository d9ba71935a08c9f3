import type { UserContext } from "../context.ts";
import { sendLook } from "../look.ts";
import { Problem } from "../problem.ts";
import { putIf } from "../put-if.ts";
import { type Action, addAction } from "./actions.ts";
import { getEnvironment } from "./read.ts";
import { type Environment, isEnded } from "./record.ts";
import { decideEnd } from "./transitions.ts";

type RequestContext = UserContext<"table" | "queue">;

/**
 * Asks for the end of an environment: decided in one write, done by reconcile. Asking again changes nothing and
 * answers with the first request. Throws `notFound`, or `conflict` when it ended in another way.
 */
export async function requestCancel(ctx: RequestContext, id: string): Promise<Action> {
  return request(ctx, id, (environment, now) => {
    const word = environment.outcome?.phase ?? environment.phase;
    if (word === "cancelled")
      return environment.actions.find((action) => action.kind === "cancel") ?? firstOf(environment);
    if (isEnded(environment) || environment.outcome) {
      throw new Problem("conflict", `Cannot cancel ${ctx.noun} ${id} in status ${word}`);
    }
    const asked = addAction(environment, "cancel", now, ctx.noun);
    const ended = decideEnd(asked, { phase: "cancelled", reason: "Cancelled by its owner", at: now });
    return { ...ended, waitPool: undefined, waitOrder: undefined };
  });
}

/**
 * Asks for `extraMs` more: the new end holds from the answer on. Throws `notFound`, `invalid` when the total would be
 * over the limit, `conflict` when it is over already.
 */
export async function requestExtension(ctx: RequestContext, id: string, extraMs: number): Promise<Action> {
  return request(ctx, id, (environment, now) => {
    if (isEnded(environment) || environment.outcome) {
      const word = environment.outcome?.phase ?? environment.phase;
      throw new Problem("conflict", `Cannot extend ${ctx.noun} ${id} in status ${word}`);
    }
    const wantedMs = environment.size.wantedMs + extraMs;
    const total = wantedMs / HOUR_MS;
    const limit = ctx.settings.maxTotalHours;
    if (total > limit) {
      const text = `Cannot extend beyond ${limit} hours in total. Total would be ${Number(total.toFixed(3))} hours`;
      throw new Problem("invalid", text);
    }
    const endsAt = environment.endsAt === null ? null : environment.endsAt + extraMs;
    return { ...addAction(environment, "extend", now, ctx.noun), size: { ...environment.size, wantedMs }, endsAt };
  });
}

const HOUR_MS = 3_600_000;
const TRIES = 5;

/** Reads, decides, writes if nobody else did, and sends one look. A decision that is an action only answers. */
async function request(
  ctx: RequestContext,
  id: string,
  decide: (environment: Environment, now: number) => Environment | Action,
): Promise<Action> {
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const now = ctx.clock.now();
    const decided = decide(environment, now);
    if (!("pk" in decided)) return decided;
    const written = { ...decided, version: environment.version + 1, dueAt: now, looks: 0 };
    if (!(await putIf(ctx, written, environment.version))) continue;
    await sendLook(ctx, environment);
    return newestAction(written);
  }
  throw new Problem("unavailable", `The ${ctx.noun} ${id} is changing too fast, try again`, { retryAfterSeconds: 1 });
}

function newestAction(environment: Environment): Action {
  const newest = environment.actions.at(-1);
  if (!newest) throw new Error(`Environment ${environment.uid} lost its newest action`);
  return newest;
}

/** A cancelled environment whose cancel action is not there was ended by Berth: its creation stands for it. */
function firstOf(environment: Environment): Action {
  const { createdAt } = environment;
  return { id: 1, kind: "cancel", status: "done", reason: null, requestedAt: createdAt, completedAt: createdAt };
}
