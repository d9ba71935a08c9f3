import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunRef } from "#core/ports/compute.ts";
import { type LimitWay, removeLimits } from "../sandbox/limits.ts";
import type { Programs } from "../sandbox/local-path.ts";
import type { Locking } from "../supervisor/lock.ts";
import { endSupervisors, forgetSupervisors } from "../supervisor/supervisor-place.ts";
import { noteAccess } from "./access-record.ts";
import { readStatus, type SshEntry } from "./observation.ts";
import type { PretendNode } from "./pretend-node.ts";
import { type Isolation, type Network, readMark, readRun, writeMark } from "./records.ts";
import { carryOn, endNow, forgetDraft, isDraft, nudge, type RunPlace } from "./removal.ts";
import { discardLeftovers, listRunNames, runOfName } from "./run-directory.ts";

export interface ProcessComputeOptions extends SshEntry {
  /** Runs live in `<home>/runs`. A sandbox sees only its own work directory there. */
  readonly home: string;
  readonly nodes: readonly PretendNode[];
  readonly isolation?: Isolation;
  readonly network?: Network;
  readonly programs?: Programs;
  readonly locking?: Locking;
  readonly limits?: LimitWay;
  /** Time in which a run must begin, 1.5 s by default. */
  readonly startedWithinMs?: number;
}

export interface Host {
  readonly runs: string;
  readonly options: ProcessComputeOptions &
    Required<
      Pick<ProcessComputeOptions, "isolation" | "network" | "locking" | "limits" | "programs" | "startedWithinMs">
    >;
  readonly applying: Set<Promise<void>>;
  closing: boolean;
}

export function findPlace({ runs, options }: Host, name: string): RunPlace {
  return { name, directory: join(runs, name), locking: options.locking };
}

export function findRef({ runs }: Host, name: string): RunRef[] {
  const named = runOfName(name);
  return named ? [{ ...named, key: readRun(join(runs, name))?.key ?? "" }] : [];
}

/** Finishes starts and removals that an earlier process left incomplete. */
export async function adoptRuns({ runs, options }: Host): Promise<void> {
  await discardLeftovers(runs, Date.now());
  forgetSupervisors(options.home);
  for (const name of listRunNames(runs)) {
    const place = { name, directory: join(runs, name), locking: options.locking };
    const [status, record] = [readStatus(place.directory), readRun(place.directory)];
    await carryOn(place, status);
    if (isDraft(status)) await forgetDraft(place);
    if (status.supervisorLives) noteAccess(place.directory);
    if (record && !status.supervisorLives) await removeLimits(record.limits, 0);
  }
}

export async function leaveRuns(host: Host): Promise<void> {
  host.closing = true;
  await Promise.allSettled(host.applying);
}

/**
 * Ends every run within 1.5 s, and marks it as ended by the stack's stop. The marks come first: on a busy machine the
 * stack is gone before a starting run has begun, and the supervisor then reads the mark instead of starting the run.
 */
export async function endRuns(host: Host): Promise<void> {
  host.closing = true;
  markStopped(host);
  await leaveRuns(host);
  const living = markStopped(host);
  const end = performance.now() + 900;
  const lives = ({ directory }: RunPlace) => readStatus(directory).supervisorLives;
  while (performance.now() < end && living.some(lives)) await sleep(10);
  await Promise.all(living.filter(lives).map((place) => endNow(place, 200)));
  await endSupervisors(host.options.home, 200);
}

function markStopped(host: Host): RunPlace[] {
  const places = listRunNames(host.runs).map((name) => findPlace(host, name));
  const living = places.filter(({ directory }) => !readStatus(directory).end);
  for (const { directory } of living) {
    try {
      if (readMark(directory, "stopped") === undefined) writeMark(directory, "stopped", Date.now());
    } catch {
      // On a full disk the run still ends, but its record has no reason.
    }
    nudge(directory);
  }
  return living;
}
