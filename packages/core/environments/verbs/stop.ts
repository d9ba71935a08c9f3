import type { UserContext } from "../../context.ts";
import { sealReceiver } from "../../webhooks/receiver.ts";
import { closeActions } from "../record/changes/actions.ts";
import { changeEnvironment, refuseUnlessRestartable } from "../record/changes/change.ts";
import { type Environment, toKey } from "../record/record.ts";
import { enter } from "../record/transitions.ts";

interface Stop {
  readonly reason?: string | undefined;
  readonly receiver?: string | undefined;
  readonly token?: string | undefined;
}

/** Stops compute and keeps own volumes. Throws `notFound`, or `conflict` if it could not be started again. */
export async function requestStop(
  ctx: UserContext<"table" | "queue" | "sealer">,
  id: string,
  { reason, receiver, token }: Stop = {},
): Promise<Environment> {
  return changeEnvironment(ctx, id, async (environment, now) => {
    refuseUnlessRestartable(ctx, environment, "stop");
    if (environment.goal.desired === "stopped") return environment;
    const named = { ...environment, goal: { ...environment.goal, stoppedBy: token ?? environment.goal.stoppedBy } };
    if (receiver === undefined) return stopNow(named, now, reason ?? null);
    // Set the receiver first, because it also gets the entries of this stop.
    const run = await sealReceiver(ctx, toKey(environment), receiver);
    return stopNow(
      { ...named, events: { ...named.events, receiver: { ...named.events.receiver, run } } },
      now,
      reason ?? null,
    );
  });
}

/** Reports whether this token's stop was the latest, even if a start followed: a repeat must not undo that. */
export function isStoppedBy({ goal: { stoppedBy } }: Environment, token: string): boolean {
  return stoppedBy === token;
}

export function stopNow(environment: Environment, now: number, reason: string | null): Environment {
  const {
    goal: { desired },
    phase,
  } = environment;
  if (desired === "stopped") return environment;
  const wanted: Environment = { ...environment, goal: { ...environment.goal, desired: "stopped", start: null } };
  if (phase === "preparing" || phase === "active") return enter(wanted, "stopping", now, reason);
  return phase === "queued" ? asStopped(wanted, now, reason) : wanted;
}

export function asStopped(environment: Environment, now: number, reason: string | null): Environment {
  const stopped = closeActions(enter(environment, "stopped", now, reason), ["resize"], now);
  return {
    ...stopped,
    end: { ...stopped.end, at: now, cleanSince: null, cleanLooks: 0 },
    run: { ...stopped.run, leftoversAt: null },
  };
}
