import { zonePinnedBy } from "../../disks/record.ts";
import { withinUnits } from "../../fleet.ts";
import type { Sealed } from "../../store/sealed.ts";
import type { Environment, Size } from "../record/record.ts";
import { noRun } from "../record/run/run-state.ts";
import { enter } from "../record/transitions.ts";

/**
 * How long after a start the cluster is searched for what a slept worker made of an earlier run. The first search comes
 * as soon as such a run can be there, since it would hold the volumes; the second comes as late as that after an end.
 */
export const LEFTOVERS_MS = { first: 30_000, second: 600_000 } as const;

/** What a start may change beside the specification. */
export interface NewRun {
  readonly size: Size | null;
  /** Where the events of this run go instead, sealed; null: as always. */
  readonly receiver: Sealed | null;
}

/** Wants it to run: at once when it is stopped, as soon as it is stopped when it is stopping, else it is so already. */
export function requestRestart(environment: Environment, now: number, run: NewRun): Environment {
  const { phase } = environment;
  if (phase === "stopping") return { ...environment, goal: { ...environment.goal, desired: "active", start: run } };
  return phase === "stopped" ? restart(environment, now, run) : environment;
}

/** A new run of a stopped environment: nothing is left in it of the one before, which was seen gone. */
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
    // Limits may have been asked for beside a start that was forgotten since.
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
