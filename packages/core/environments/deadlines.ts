import type { Settings } from "../context.ts";
import { lacksVolumes } from "./own-volumes.ts";
import type { EndPhase, Environment } from "./record.ts";

const MINUTE_MS = 60_000;

/** Why it cannot go on to become active; undefined: it has time. */
export function outOfTime(
  environment: Environment,
  settings: Pick<Settings, "preparingMinutes">,
  now: number,
): { readonly phase: EndPhase; readonly reason: string } | undefined {
  const { endsAt, queuedAt, preparingAt, policy } = environment;
  if (endsAt !== null && now >= endsAt) return { phase: "expired", reason: "Its time was over" };
  const { readyWithinMs } = policy;
  if (readyWithinMs !== null && now >= queuedAt + readyWithinMs) {
    return { phase: "failed", reason: notReady(environment, readyWithinMs / MINUTE_MS) };
  }
  const limit = settings.preparingMinutes;
  const isStuck = lacksVolumes(environment) && preparingAt !== null && now >= preparingAt + limit * MINUTE_MS;
  return isStuck ? { phase: "failed", reason: notReady(environment, limit) } : undefined;
}

/** The next moment at which that, or something of an earlier run, is to be looked at; infinite: none. */
export function nextDeadline({ phase, endsAt, queuedAt, policy, straysAt }: Environment): number {
  const never = Number.POSITIVE_INFINITY;
  const isOnItsWay = phase === "queued" || phase === "preparing";
  const readyBy = policy.readyWithinMs === null ? never : queuedAt + policy.readyWithinMs;
  const strays = isOnItsWay || phase === "active" ? (straysAt ?? never) : never;
  return isOnItsWay ? Math.min(endsAt ?? never, readyBy, strays) : strays;
}

function notReady({ phase, step, reason }: Environment, minutes: number): string {
  const where = phase === "queued" ? "in the queue" : `at step ${step ?? "pod"}`;
  return `Not ready after ${minutes} minutes, ${where}${reason ? `: ${reason}` : ""}`;
}
