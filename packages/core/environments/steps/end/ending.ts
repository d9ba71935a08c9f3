import { listLedgerItems, readLedgerItems } from "../../../pools/ledger/ledger.ts";
import type { LedgerItem } from "../../../pools/ledger/record.ts";
import type { Observation } from "../../../ports/compute.ts";
import type { ReconcileRequest } from "../../../ports/queue.ts";
import { pollBackoffMs } from "../../../reconciler/backoff.ts";
import { earliestConfirmableAt } from "../../../reconciler/pending-creates.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { expireSshEntry } from "../../access/ssh-entry.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import { isArchiving } from "../../record/end.ts";
import { logEndsAt } from "../../record/log/kept-log.ts";
import { getGraceSeconds } from "../../record/policy.ts";
import type { Environment } from "../../record/record.ts";
import type { Machine } from "../../record/run/machine.ts";
import { noteAnswer } from "../../record/run/unseen.ts";
import { forgetSecrets } from "../../record/spec.ts";
import { changed, notifyDisk, notifyPool, requeueAt, waitMs } from "../../record/step-result.ts";
import { decideEnd } from "../../record/transitions.ts";
import { isInterrupted } from "../interruption.ts";
import { checkMachines } from "../lost-node.ts";
import { tellEnd } from "../notices.ts";
import { observeRun } from "../observe-run.ts";
import { releaseUnused } from "../start/disk.ts";
import { detachOwn } from "../start/own-volumes.ts";
import { backUp } from "./backup.ts";
import { keepLastLog } from "./end-command.ts";
import { isReturningToQueue } from "./end-interrupted.ts";
import { outcomeForExitCode } from "./end-run.ts";
import { CHECKS_AFTER_END_MS, finalize } from "./finalize.ts";
import { removeLeftoverRuns } from "./leftover-runs.ts";
import { copyLastLog, removeCopies } from "./log.ts";
import { noStartFrom, noteRemoval, releasableAt, tombstonesFor } from "./release.ts";
import { removeAllButNewest, retainedUntil } from "./retention.ts";
import { detachDisk, returnToQueue } from "./return-to-queue.ts";

/**
 * Takes the next step of the end: command, log, compute, capacity, disk, final phase
 * (docs/architecture/end-of-life.md).
 */
export async function stepStopping(
  ctx: WorkerContext,
  storedEnvironment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<Step<Environment> | undefined> {
  if (message.hint && isPutOff(storedEnvironment, now)) return undefined;
  const environment = noStartFrom(storedEnvironment, now);
  const removal = mayBeThere(environment) ? await removeRun(ctx, environment, now) : undefined;
  if (removal) return removal;
  if (environment.run.grant) return release(environment, now);
  const held = isArchiving(environment) ? undefined : await detachOwn(ctx, environment, now);
  if (held) return held;
  const { disk } = environment;
  if (isReturningToQueue(environment))
    return (await detachDisk(ctx, environment, now)) ?? returnToQueue(environment, now);
  if (disk && mayHaveWritten(disk) && !disk.released) return backUp(ctx, environment, disk, now);
  if (disk && !disk.released) {
    await releaseUnused(ctx, environment);
    return notifyDisk(changed({ ...environment, disk: { ...disk, released: true } }, now, "let its disk go"));
  }
  const step = await finalize(ctx, environment, now);
  // The worker that released the capacity may have died before it notified the pool.
  return step.record.phase !== "stopping" && (await mayBeNamed(ctx, environment)) ? notifyPool(step) : step;
}

/** Reports whether the run is not yet known to be gone. Reconciles after the end find a run that comes back later. */
function mayBeThere({ run: { n: run, applyingAt, released } }: Environment): boolean {
  return applyingAt !== null && released !== run;
}

function isPutOff(environment: Environment, now: number): boolean {
  const { run, dueAt = 0 } = environment;
  const freeAt = releasableAt(environment, now);
  return run.removedAt !== null && mayBeThere(environment) && now < freeAt && freeAt <= dueAt;
}

/** Removes the run. Returns undefined once it is gone and no worker can start it any more. */
async function removeRun(
  ctx: WorkerContext,
  storedEnvironment: Environment,
  now: number,
): Promise<Step<Environment> | undefined> {
  const {
    uid,
    run: { n: run, removedAt },
    looks: passes,
  } = storedEnvironment;
  const left = await observeRun(ctx, storedEnvironment);
  const environment = noteAnswer(storedEnvironment, now);
  if (left || removedAt === null) {
    const ownOutcome = left && endedByItself(environment, left);
    if (ownOutcome) return changed(ownOutcome, now, "had ended by itself");
    if (left && removedAt === null && environment.run.terminatedAt === undefined) await tellEnd(ctx, environment, now);
    // Keep the log before any removal: a concurrent reconcile may find the run gone before this one has written.
    const kept = left && (await keepLastLog(ctx, environment, left, now));
    if (kept) return kept;
    const { machines, lost, waitsFor } = await checkMachines(ctx, environment, left?.nodes ?? [], now);
    // A run without pods names no machines, but its last ones may still hold its volumes.
    const seen = machines.length > 0 ? { ...environment, run: { ...environment.run, machines } } : environment;
    const observed = left && seen.log?.failed ? await copyLastLog(ctx, seen, now) : seen;
    const hasTombstones = await ctx.compute.remove(uid, run, {
      graceSeconds: getGraceSeconds(environment, ctx.settings),
      force: mayForce(ctx, environment, lost, now),
      ...tombstonesFor(environment, now),
    });
    const stopping = {
      ...observed,
      run: noteRemoval(observed.run, hasTombstones, now),
      end: { ...observed.end, waitsFor: waitsFor ?? "Waits until its compute is gone" },
    };
    const freeAt = releasableAt(stopping, now);
    // A run that was seen ends by itself, and its units stay held until `freeAt`. One that was not seen may still come.
    if (left && !lost && now < freeAt && waitsFor === null)
      return waitsUntilFree(stopping, freeAt, "removes its compute");
    const isAtOnce = passes === 0 && now >= freeAt;
    const takenMs = now - (removedAt ?? now);
    const wait = isAtOnce ? 0 : Math.max(waitMs({ looks: now < freeAt ? passes : passes - 1 }), pollBackoffMs(takenMs));
    return requeueAt(stopping, now + wait, "removes its compute");
  }
  const freeAt = releasableAt(environment, now);
  if (now >= freeAt) return undefined;
  return waitsUntilFree(environment, freeAt, "waits until no worker can start it again");
}

function waitsUntilFree(environment: Environment, freeAt: number, log: string): Step<Environment> {
  const waits = { ...environment, end: { ...environment.end, waitsFor: "Waits until no worker can start it again" } };
  return requeueAt(waits, freeAt, log);
}

/** Releases the capacity. A disk without a started run is unchanged and needs no backup. */
function release(environment: Environment, now: number): Step<Environment> {
  const {
    run: { applyingAt },
    disk,
  } = environment;
  const left = disk && applyingAt === null ? { ...disk, attached: false } : disk;
  const released = {
    ...environment,
    run: { ...environment.run, grant: null, address: null, released: environment.run.n },
    disk: left,
    end: { ...environment.end, waitsFor: null },
  };
  return notifyPool(changed(released, now, "released"));
}

/**
 * Replaces the outcome of a limit, or a return to the queue, if the command had exited before
 * (docs/architecture/deadlines.md). The exit code is lost with the removal.
 */
function endedByItself(environment: Environment, observed: Observation): Environment | undefined {
  const { end } = environment;
  const { exitCode, endedAt } = observed;
  const limitAt = end.outcome?.isLimit ? end.outcome.at : undefined;
  const decidedAt = isReturningToQueue(environment) ? leftAt(environment, observed) : limitAt;
  if (decidedAt === undefined || exitCode === null || endedAt === null || endedAt >= decidedAt) return undefined;
  const undecided = { ...environment, end: { ...end, outcome: null } };
  return decideEnd(undecided, { ...outcomeForExitCode(exitCode), at: endedAt });
}

/**
 * Returns before when an exit has nothing to do with the interruption, or undefined if it has. A command that saves and
 * exits with 0 on SIGTERM returns to the queue, although Kubernetes reports its end in whole seconds.
 */
function leftAt(environment: Environment, observed: Observation): number | undefined {
  const { terminatedAt, removedAt } = environment.run;
  const isAskedToEnd = terminatedAt !== undefined || removedAt !== null;
  if (isAskedToEnd || isInterrupted(environment, observed)) return undefined;
  return Math.floor((environment.end.stoppingAt ?? 0) / 1000) * 1000;
}

/** Time for an ordinary removal of a run on a lost machine. */
const FORCE_AFTER_MS = 10_000;

/**
 * Reports whether to remove a lost machine's objects by force. Commands on the run's other machines first get their
 * grace period.
 */
function mayForce(
  { settings }: WorkerContext,
  environment: Environment,
  lost: Machine | undefined,
  now: number,
): boolean {
  const {
    size,
    run: { removedAt },
  } = environment;
  const graceMs = size.machines > 1 ? getGraceSeconds(environment, settings) * 1000 : 0;
  return lost !== undefined && now - (removedAt ?? now) >= Math.max(FORCE_AFTER_MS, graceMs);
}

/** Searches twice for objects that came back after the end, and waits until the pool has released it. */
export async function stepEnded(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    spec,
    access,
    end: { cleanLooks },
  } = environment;
  const bare = spec === null && access.jupyter === null ? environment : await forgetSecrets(ctx, environment);
  const check = await checkAfterEnd(ctx, bare, now);
  if (check !== "done") return check;
  if (cleanLooks >= CHECKS_AFTER_END_MS.length) return forget(ctx, bare, now);
  // A paused start may have written another specification since. No receiver needs it any more.
  const forgotten = await forgetSecrets(ctx, bare);
  await expireSshEntry(ctx, bare);
  const clean = { ...forgotten, events: { ...forgotten.events, receiver: { always: null, run: null } } };
  const over: Environment = {
    ...clean,
    end: { ...clean.end, cleanLooks: CHECKS_AFTER_END_MS.length },
    ttl: retainedUntil(environment),
  };
  await removeAllButNewest(ctx, over);
  return forget(ctx, over, now);
}

export async function checkAfterEnd(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment> | "done"> {
  if (environment.end.cleanLooks >= CHECKS_AFTER_END_MS.length) return "done";
  const since = environment.end.cleanSince ?? environment.end.at ?? now;
  const nextCheckAt = since + (CHECKS_AFTER_END_MS[environment.end.cleanLooks] ?? 0);
  if (await isNamed(ctx, environment)) {
    return notifyPool(requeueAt(environment, now + 5000, "waits for its pool"));
  }
  if (now < nextCheckAt) return requeueAt(environment, nextCheckAt, "ended");
  if (await removeLeftoverRuns(ctx, environment, "all")) {
    return requeueAt(
      { ...environment, end: { ...environment.end, cleanSince: now, cleanLooks: 0 } },
      now + 5000,
      "removed what came back",
    );
  }
  const cleanLooks = environment.end.cleanLooks + 1;
  const following = CHECKS_AFTER_END_MS[cleanLooks];
  const settles = earliestConfirmableAt(environment.making);
  if (following === undefined && settles > now && settles < Number.POSITIVE_INFINITY) {
    return requeueAt(environment, settles, "waits for volumes that may have been made late");
  }
  if (following === undefined) return "done";
  return requeueAt({ ...environment, end: { ...environment.end, cleanLooks } }, since + following, "clean");
}

async function isNamed(ctx: WorkerContext, environment: Environment): Promise<boolean> {
  const { records, unreadable } = await readLedgerItems(ctx, listLedgerItems(ctx, environment));
  const [first] = unreadable;
  if (first !== undefined) throw new Error(`The ledger item ${first} cannot be read`);
  return namesIt(records, environment);
}

async function mayBeNamed(ctx: WorkerContext, environment: Environment): Promise<boolean> {
  const { records, unreadable } = await readLedgerItems(ctx, listLedgerItems(ctx, environment));
  return unreadable.size > 0 || namesIt(records, environment);
}

function namesIt(items: readonly LedgerItem[], { uid: ownUid }: Environment): boolean {
  return items.some(({ granted, held }) => [...granted, ...held].some(({ uid }) => uid === ownUid));
}

/** Removes the log, last of all. Until its time the record stays due, far ahead. */
async function forget(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const goesAt = logEndsAt(environment);
  if (goesAt !== undefined && now < goesAt) return requeueAt(environment, goesAt, "keeps its log");
  await removeCopies(ctx, environment);
  const done = { ...environment, log: undefined, dueAt: undefined };
  return { record: done, notify: [], log: "done" };
}
