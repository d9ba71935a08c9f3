import { zonePinnedBy } from "../../disks/record.ts";
import { withinUnits } from "../../fleet.ts";
import type { Sealed } from "../../store/sealed.ts";
import type { Environment, Size } from "../record/record.ts";
import { noRun } from "../record/run/run-state.ts";
import { enter } from "../record/transitions.ts";

/**
 * Delays after a start before the cluster is searched for objects that a suspended worker made for an earlier run. The
 * first search is early, since such a run would hold the volumes; the second is as late as the one after an end.
 */
export const LEFTOVERS_MS = { first: 30_000, second: 600_000 } as const;

/** Changes of a start that are not part of the specification. */
export interface NewRun {
  readonly size: Size | null;
  /** Sealed receiver for the events of this run; null for the usual one. */
  readonly receiver: Sealed | null;
}

/** Starts a stopped environment, or remembers the start while it stops. Other phases run already. */
export function requestRestart(environment: Environment, now: number, run: NewRun): Environment {
  const { phase } = environment;
  if (phase === "stopping") return { ...environment, goal: { ...environment.goal, desired: "active", start: run } };
  return phase === "stopped" ? restart(environment, now, run) : environment;
}

/** Returns a stopped environment queued for a new run, without any trace of the previous run, which was seen gone. */
export function restart(environment: Environment, now: number, run: NewRun): Environment {
  const { access, resources } = environment;
  const size = run.size ?? environment.size;
  const fresh: Environment = {
    ...environment,
    goal: { ...environment.goal, desired: "active", start: null },
    run: {
      ...environment.run,
      error: null,
      n: environment.run.n + 1,
      preparingAt: null,
      startedAt: null,
      ...noRun,
      address: null,
      ports: [],
      limits: null,
      resized: null,
      resizing: undefined,
      leftoversAt: now + LEFTOVERS_MS.first,
    },
    starts: environment.starts + 1,
    size,
    // Limits may come from a resize for a start that was dropped since, so fit them to this size.
    resources: resources && withinUnits(resources, size.units),
    events: { ...environment.events, receiver: { ...environment.events.receiver, run: run.receiver } },
    zone: zonePinnedBy(environment.volumes.find(({ volume }) => volume)?.volume),
    queuedAt: now,
    unseen: undefined,
    end: { ...environment.end, at: null, cleanSince: null, cleanLooks: 0 },
    placement: { ...environment.placement, withdrawals: 0, unseen: undefined, refusals: undefined },
    use: { ...environment.use, busyUntil: null, idle: null, gpus: undefined },
    access: { ...access, jupyter: access.jupyter && { ...access.jupyter, origin: null } },
  };
  return enter(fresh, "queued", now, null);
}
