import type { UserContext } from "../../context.ts";
import { sealReceiver } from "../../webhooks/receiver.ts";
import { closeActions } from "../record/changes/actions.ts";
import { changeEnvironment, refuseUnlessRestartable } from "../record/changes/change.ts";
import { type Environment, keyOf } from "../record/record.ts";
import { enter } from "../record/transitions.ts";

interface Stop {
  readonly reason?: string | undefined;
  readonly receiver?: string | undefined;
  /** What a repeat finds in the record where the one before it stopped it (`isStoppedBy`). */
  readonly token?: string | undefined;
}

/**
 * Wants it stopped: its compute goes, its own volumes stay. Asked again it changes nothing; a start that was remembered
 * is forgotten. Throws `notFound`, or `conflict` for what cannot be started again.
 */
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
    // Before the stop is written down: its own entries are for this receiver already.
    const run = await sealReceiver(ctx, keyOf(environment), receiver);
    return stopNow(
      { ...named, events: { ...named.events, receiver: { ...named.events.receiver, run } } },
      now,
      reason ?? null,
    );
  });
}

/** Whether the stop of this token was the latest: it may have been started since, which a repeat does not undo. */
export function isStoppedBy({ goal: { stoppedBy } }: Environment, token: string): boolean {
  return stoppedBy === token;
}

/** The record as it is from the moment on at which it is to be stopped; the same one where it is so already. */
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

/** Answers the record of an environment whose compute was seen gone, or never made. */
export function asStopped(environment: Environment, now: number, reason: string | null): Environment {
  const stopped = closeActions(enter(environment, "stopped", now, reason), ["resize"], now);
  return {
    ...stopped,
    end: { ...stopped.end, at: now, cleanSince: null, cleanLooks: 0 },
    run: { ...stopped.run, leftoversAt: null },
  };
}
