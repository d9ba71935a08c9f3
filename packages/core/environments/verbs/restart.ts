import { zonePinnedBy } from "../../disks/record.ts";
import { withinUnits } from "../../fleet.ts";
import type { Sealed } from "../../store/sealed.ts";
import { mayHaveWritten } from "../record/disk/disk-use.ts";
import type { Environment, Size, Times } from "../record/record.ts";
import { noRun } from "../record/run/run-state.ts";
import { enter } from "../record/transitions.ts";

/** Searches for late objects of earlier runs: early, since they would hold the volumes, and as late as after an end. */
export const LEFTOVERS_MS = { first: 30_000, second: 600_000 } as const;

export interface NewRun {
  readonly size: Size | null;
  readonly receiver: Sealed | null;
}

export function requestRestart(environment: Environment, now: number, run: NewRun): Environment {
  const { phase } = environment;
  if (phase === "stopping") return { ...environment, goal: { ...environment.goal, desired: "active", start: run } };
  return phase === "stopped" ? restart(environment, now, run) : environment;
}

/** Returns an environment queued for its next run. The caller has seen the previous run gone. It keeps its disk. */
export function restart(environment: Environment, now: number, run: NewRun, note: string | null = null): Environment {
  const { access, resources, disk } = environment;
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
    disk: disk && { ...disk, attached: false, released: false, ...(mayHaveWritten(disk) && { written: true }) },
    // A disk keeps its zone, and own volumes pin theirs.
    zone: disk ? environment.zone : zonePinnedBy(environment.volumes.find(({ volume }) => volume)?.volume),
    times: resetTimes(environment),
    queuedAt: now,
    unseen: undefined,
    end: { ...environment.end, at: null, cleanSince: null, cleanLooks: 0 },
    placement: {
      ...environment.placement,
      withdrawals: 0,
      unseen: undefined,
      refusals: undefined,
      shortened: undefined,
    },
    use: { ...environment.use, busyUntil: null, idle: null, gpus: undefined },
    access: { ...access, jupyter: access.jupyter && { ...access.jupyter, origin: null } },
  };
  return enter(fresh, "queued", now, note);
}

function resetTimes({ times, policy, run: { startedAt }, end: { stoppingAt } }: Environment): Times {
  if (policy.time !== "run") return times;
  const activeMs = startedAt === null ? 0 : Math.max(0, (stoppingAt ?? startedAt) - startedAt);
  const earlierMs = (times.earlierMs ?? 0) + activeMs;
  return { firstActiveAt: times.firstActiveAt, endsAt: null, warnedMinutes: null, earlierMs };
}
