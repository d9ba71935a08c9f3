import type { Outcome } from "./end.ts";
import type { Phase } from "./phases.ts";
import { type Environment, waitingFields } from "./record.ts";
import { addEntry, shorten } from "./timeline.ts";

/** Allowed transitions. Terminal phases have none (docs/architecture/consistency.md). */
const transitions = {
  queued: ["preparing", "stopping", "stopped", "expired", "cancelled", "failed", "deleted"],
  preparing: ["queued", "active", "stopping"],
  active: ["stopping"],
  stopping: ["queued", "stopped", "completed", "expired", "cancelled", "failed", "deleted"],
  stopped: ["queued", "deleted"],
  completed: [],
  expired: [],
  cancelled: [],
  failed: [],
  deleted: [],
} as const satisfies Record<Phase, readonly Phase[]>;

export function enter(environment: Environment, phase: Phase, at: number, reason: string | null): Environment {
  const allowed: readonly Phase[] = transitions[environment.phase];
  if (!allowed.includes(phase)) throw new Error(`No transition from ${environment.phase} to ${phase}`);
  const wait = phase === "queued" ? waitingFields(environment) : { waitPool: undefined, waitOrder: undefined };
  const stoppingAt = phase === "stopping" ? at : environment.end.stoppingAt;
  const word = { phase, step: null, reason: shorten(reason), looks: 0 };
  const moved: Environment = {
    ...environment,
    ...wait,
    ...word,
    end: { ...environment.end, stoppingAt, waitsFor: null },
  };
  return addEntry(moved, at, reason);
}

export function decideEnd(environment: Environment, outcome: Outcome): Environment {
  if (environment.end.outcome) return environment;
  const desired = "deleted";
  return {
    ...environment,
    goal: { ...environment.goal, desired },
    end: { ...environment.end, outcome: { ...outcome, reason: shorten(outcome.reason) } },
  };
}
