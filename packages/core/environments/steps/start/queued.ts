import { zonePinnedBy } from "../../../disks/record.ts";
import type { ReconcileRequest } from "../../../ports/queue.ts";
import { pollBackoffMs } from "../../../reconciler/backoff.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { closeActions } from "../../record/changes/actions.ts";
import { nextExtensionAt, showExtensions } from "../../record/changes/extensions.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import type { Outcome } from "../../record/end.ts";
import { type Environment, waitingFields } from "../../record/record.ts";
import { changed, notifyDisk, notifyPool, requeueAt } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";
import { decideEnd, enter } from "../../record/transitions.ts";
import { endRun, stopping } from "../end/end-run.ts";
import { readyDisk, releaseUnused } from "./disk.ts";
import { fitToClosing } from "./fit-closing.ts";
import { findMovableDisk, leaveZone, zoneLookMs } from "./leave-zone.ts";
import { findGrant, findVolumesZone, takeGrant } from "./take-grant.ts";

/** The pool itself reads its waiters each minute and repeats their grants. */
const KNOWN_MS = 300_000;
/** Must exceed the early tolerance (reconcile.ts), or duplicate reconciles never end. */
const DISK_MS = 5_000;
/** Delay of the second message to the pool: the first one may be lost, and the index may lag. */
const UNKNOWN_MS = 5_000;
const FIRST_PASSES = 0;

export async function stepQueued(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<Step<Environment> | undefined> {
  if (environment.end.outcome) return endInQueue(ctx, environment, environment.end.outcome, now);
  const ready = await readyDisk(ctx, environment);
  if (ready.kind === "lost" || ready.kind === "missing") {
    // The submit refuses a disk in use, so the loss of one is shown only to an environment that waited.
    const phase = ready.kind === "lost" ? "deleted" : "failed";
    return endInQueue(ctx, environment, { phase, reason: ready.reason, at: now }, now);
  }
  const extended = showExtensions(environment, now);
  const extensionAt = nextExtensionAt(extended);
  if (ready.kind === "waits") {
    const wait = Math.max(DISK_MS, pollBackoffMs(now - environment.queuedAt));
    const step = requeueAt(outOfLine(extended, ready.reason), Math.min(now + wait, extensionAt), "waits for its disk");
    // Its reservation or grant is free for other environments now.
    return environment.waitPool === undefined ? step : notifyPool(step);
  }
  const pausesUntil = environment.placement.refusals?.until ?? 0;
  if (environment.waitPool === undefined && now < pausesUntil)
    return requeueAt(extended, Math.min(pausesUntil, extensionAt), "pauses");
  const zone = zonePinnedBy(ready.disk?.volume) ?? findVolumesZone(extended);
  if (environment.waitPool === undefined) {
    const inLine = { ...extended, ...waitingFields(extended), zone, reason: null };
    return notifyPool(requeueAt(inLine, Math.min(now + UNKNOWN_MS, extensionAt), "stands in line"));
  }
  // The submit reads the zone before it has the disk. In between, the idle volume may have been let go.
  if (environment.zone !== zone) {
    const moved = { ...withNextRun(extended), zone };
    return notifyPool(requeueAt(moved, Math.min(now + UNKNOWN_MS, extensionAt), "waits in another zone"));
  }
  const grant = await findGrant(ctx, environment, message.for ?? [], now);
  if (grant === "closed") {
    return notifyPool(
      requeueAt(withNextRun(extended), Math.min(now + UNKNOWN_MS, extensionAt), "declines a closed machine"),
    );
  }
  if (grant) return notifyPool(changed(takeGrant(extended, grant, now), now, "took its grant"));

  if ((environment.dueAt ?? now) > now) return undefined;
  const fitted = await fitToClosing(ctx, extended, now);
  if (fitted) return notifyPool(requeueAt(fitted, Math.min(now + UNKNOWN_MS, extensionAt), "fits its time"));
  const movable = findMovableDisk(ctx, environment, ready.disk);
  const left = movable && (await leaveZone(ctx, environment, movable.disk, now));
  if (left) {
    const note = `Disk '${movable.name}' leaves zone ${zone}, because the job starts sooner in another one`;
    const moved = addEntry({ ...withNextRun(extended), zone: null }, now, note);
    // A worker that takes a grant in the old zone changes the environment, so the volume of a run never goes.
    return { ...notifyPool(changed(moved, now, "leaves its zone")), alsoWrites: left };
  }
  const looksOften = movable || environment.policy.leastMs !== undefined;
  const longest = looksOften ? zoneLookMs(environment, now) : KNOWN_MS;
  const wait = environment.looks > FIRST_PASSES ? longest : UNKNOWN_MS;
  return notifyPool(requeueAt(extended, Math.min(now + wait, extensionAt), "waits"));
}

/**
 * Ends a queued environment. With a disk, the end is written first: only a conditional write shows a missed grant
 * before a running job's disk is given away.
 */
export async function endInQueue(
  ctx: WorkerContext,
  environment: Environment,
  outcome: Outcome,
  now: number,
): Promise<Step<Environment>> {
  if (endsAsOneThatRan(environment)) return notifyPool(stopping(decideEnd(environment, outcome), now));
  const decided = decideEnd(environment, outcome);
  if (environment.disk && !environment.end.outcome) return changed(decided, now, "decided its end");
  await releaseUnused(ctx, environment);
  const over = enter(decided, outcome.phase, now, outcome.reason);
  const ended = { ...over, end: { ...over.end, at: now } };
  const disk = ended.disk && { ...ended.disk, released: true };
  return notifyDisk(
    notifyPool(changed(closeActions({ ...ended, disk }, ["cancel", "extend"], now), now, outcome.phase)),
  );
}

/**
 * Leaves the line, and comes back with another run number: a planner that saw it outside may drop its grant at any
 * time.
 */
function outOfLine(environment: Environment, reason: string): Environment {
  const left = environment.waitPool === undefined ? environment : withNextRun(environment);
  return { ...left, waitPool: undefined, waitOrder: undefined, reason };
}

/** Returns the environment with a new run number, so that the planner drops a grant for the present one. */
function withNextRun(environment: Environment): Environment {
  return { ...environment, run: { ...environment.run, n: environment.run.n + 1 } };
}

function endsAsOneThatRan({ volumes, addressLabel, policy, disk }: Environment): boolean {
  return volumes.length > 0 || addressLabel !== null || policy.restarts || (disk !== null && mayHaveWritten(disk));
}

export function giveUp(environment: Environment, now: number, reason: string): Step<Environment> {
  return notifyPool(endRun(environment, now, reason));
}
