import { findRevocationCause, isRefusedByMachine } from "../../../pools/plan/revocation-cause.ts";
import type { Observation } from "../../../ports/compute.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import type { PreparingStep } from "../../record/phases.ts";
import type { Environment } from "../../record/record.ts";
import type { RunState } from "../../record/run/run-state.ts";
import { isAnswered, isOutageOver, noteAnswer, noteNoAnswer } from "../../record/run/unseen.ts";
import { changed, noLaterThan, notifyPool, waitedForStart } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";
import { enter } from "../../record/transitions.ts";
import { readyLimit } from "../deadlines.ts";
import { endItself, isSafetyTimeout } from "../end/end-itself.ts";
import { endByLimit, stopping } from "../end/end-run.ts";
import { noteInterruption } from "../interruption.ts";
import { listMachines, stepLostMachine } from "../lost-node.ts";
import { observeRun } from "../observe-run.ts";
import { attachDisk } from "./attach-disk.ts";
import { giveAccess, openJupyterPort } from "./first-access.ts";
import { extendRun, keepNetBehind, makeRun, nextExtendAt } from "./make-run.ts";
import { lacksVolumes, makeVolumes } from "./own-volumes.ts";
import { bindMs, withdraw } from "./revoke-grant.ts";
import { clearMissing, markRunMissing, noteGoing } from "./run-not-found.ts";

export async function stepPreparing(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
): Promise<Step<Environment>> {
  if (environment.end.outcome) return stopping(environment, now);
  if (lacksVolumes(environment)) return makeVolumes(ctx, environment, now);
  if (environment.disk && !environment.disk.attached) return attachDisk(ctx, environment, environment.disk, now);
  if (environment.run.applyingAt === null) {
    return changed(
      { ...environment, run: { ...environment.run, applyingAt: now } },
      now,
      "is about to make its compute",
    );
  }
  // Skip the observation: if another worker has made the run in between, it is the same run.
  if (isFirstTry(environment)) return makeRun(ctx, environment, now);
  const observed = await observeRun(ctx, environment);
  const seen = isHalfMade(environment, observed) ? undefined : observed;
  const noted = noteObservation(environment, seen, now);
  // Close the outage in a separate write, or a failing call would leave it open. Not for an end: see below.
  if (isOutageOver(environment, noted) && seen?.state !== "ended") return changed(noted, now, "has an answer again");
  return stepObserved(ctx, noted, seen, now);
}

async function stepObserved(
  ctx: WorkerContext,
  before: Environment,
  observed: Observation | undefined,
  now: number,
): Promise<Step<Environment>> {
  const environment = noteMachine(before, observed, now);
  const since = startsSince(ctx, environment);
  const limit = isAnswered(environment) ? readyLimit(environment, ctx.settings, since) : undefined;
  const isOver = observed?.state === "ready" || observed?.state === "ended";
  if (limit && now >= limit.at && !isOver) {
    return endByLimit(environment, { phase: "failed", reason: limit.reason, at: limit.at }, now);
  }
  if (environment.run.withdrawing) return withdraw(ctx, environment, observed, now);
  if (!observed)
    return environment.run.appliedAt === null ? makeRun(ctx, environment, now) : markRunMissing(ctx, environment, now);
  // Handle an end before any other write, because the next reconcile may not see it.
  if (observed.state === "ended") return endItself(begun(environment, observed, now), observed, now);
  if (environment.run.missedAt !== null) return clearMissing(environment, now);
  if (observed.state === "ready") {
    const opened = await giveAccess(ctx, environment, observed, now);
    if (opened) return opened;
    // A notice may have come before; later ones are signalled.
    const ready = await noteInterruption(ctx, activated(environment, observed, now), now);
    await keepNetBehind(ctx, ready, now);
    return notifyPool(changed({ ...ready, reason: null }, now, "active"));
  }
  const knownEnvironment = noteGoing(environment, observed);
  const appliedAt = knownEnvironment.run.appliedAt ?? now;
  return follow(ctx, { ...knownEnvironment, run: { ...knownEnvironment.run, appliedAt } }, observed, now);
}

function isFirstTry({ run: { appliedAt, withdrawing }, looks: passes, attempts }: Environment): boolean {
  return appliedAt === null && !withdrawing && passes === 0 && attempts === 0;
}

/** Notes the answer of the cluster. It says nothing about the run's progress while a machine of the run is silent. */
function noteObservation(environment: Environment, observed: Observation | undefined, now: number): Environment {
  const isDecided = observed?.state === "ready" || observed?.state === "ended";
  const silent = isDecided ? undefined : observed?.nodes.find((node) => node.silent !== null);
  return silent ? noteNoAnswer(environment, now, silent.name) : noteAnswer(environment, now);
}

/** Reports whether an outage interrupted the creation of the run, which is then applied again. */
function isHalfMade({ run }: Environment, observed: Observation | undefined): boolean {
  return observed?.halfMade === true && run.appliedAt === null && !run.withdrawing;
}

/** Records a run that began and ended between two reconciles as active. */
function begun(environment: Environment, observed: Observation, now: number): Environment {
  return observed.started && !isSafetyTimeout(observed) ? activated(environment, observed, now) : environment;
}

function activated(environment: Environment, observed: Observation, now: number): Environment {
  const note = observed.notes.length > 0 ? observed.notes.join("; ") : null;
  const { time } = environment.policy;
  const endsAt = time === "run" ? now + environment.size.wantedMs : environment.times.endsAt;
  const ready: Environment = {
    ...environment,
    placement: { ...environment.placement, refusals: undefined },
    run: {
      ...environment.run,
      appliedAt: environment.run.appliedAt ?? now,
      startedAt: now,
      address: observed.address,
      isolation: observed.isolation,
      machines: listMachines(observed),
      ports: observed.ports,
      limits: observed.limits,
    },
    times: {
      ...environment.times,
      firstActiveAt: environment.times.firstActiveAt ?? now,
      endsAt,
      endSetAt: now,
      warnedMinutes: null,
      warnedOf: undefined,
    },
  };
  return enter(ready, "active", now, note);
}

const stepOfState = {
  unbound: "pod",
  image: "image",
  container: "container",
  probe: "probe",
} as const satisfies Record<Exclude<Observation["state"], "ready" | "ended">, PreparingStep>;

async function follow(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Step<Environment>> {
  const givenUp = observed.state === "unbound" ? await findGivenUp(ctx, environment, observed, now) : undefined;
  if (givenUp) {
    return changed(
      {
        ...environment,
        run: {
          ...environment.run,
          withdrawing: true,
          lacksVolume: observed.lacksVolume,
          refusedForNow: observed.refusedForNow,
          lacks: observed.lacks,
          refusedByNode: givenUp.refusedByNode,
          isRejected: observed.isRejected,
        },
        reason: observed.reason,
      },
      now,
      "withdraws its grant",
    );
  }
  const extended = await extendRun(ctx, environment, now);
  const silent = await stepLostMachine(ctx, extended, observed.nodes, now);
  if (silent) return noLaterThan(silent, nextExtendAt(silent.record, now));
  // Begin only here: a reconcile of an end, or of leftovers of an earlier run, must not start the command.
  if (observed.waitsToBegin) await ctx.compute.begin(environment.uid, environment.run.n);
  const step = stepOfState[observed.state as keyof typeof stepOfState];
  if (step === environment.step && saysTheSame(observed.reason, environment.reason)) {
    const waits = waitedToBind(ctx, extended, observed, now, step);
    const toDo = await openJupyterPort(ctx, extended, observed, now);
    return toDo ? noLaterThan(toDo, waits.record.dueAt ?? now) : waits;
  }
  const moved = addEntry({ ...extended, step, reason: observed.reason }, now, observed.reason);
  const waits = waitedToBind(ctx, { ...onItsMachines(moved, observed), looks: 0 }, observed, now, step);
  return isUnpinned(environment) && observed.state !== "unbound" ? notifyPool(waits) : waits;
}

/**
 * Returns undefined while the run may still be bound. It may not if its time is over, if its provider lacks the new
 * machine, or if its own machine refuses or has refused it, which another one may not do.
 */
async function findGivenUp(
  ctx: WorkerContext,
  environment: Environment,
  { reason, lacks, isRejected }: Observation,
  now: number,
): Promise<Pick<RunState, "refusedByNode"> | undefined> {
  if (now - (environment.run.appliedAt ?? now) >= bindMs(ctx, environment) || isRejected) return {};
  if (lacks !== undefined && isUnpinned(environment)) return {};
  if (reason === null || isUnpinned(environment)) return undefined;
  const cause = await findRevocationCause(ctx, { ...environment, reason }, now);
  return isRefusedByMachine(cause) ? { refusedByNode: cause.name } : undefined;
}

/** Compares two reasons without their numbers, because the scheduler counts the machines again at every retry. */
function saysTheSame(left: string | null, right: string | null): boolean {
  return left?.replaceAll(/\d+/g, "0") === right?.replaceAll(/\d+/g, "0");
}

/** Records the machines of a run whose grant named none. From now on, its units count there. */
function onItsMachines(environment: Environment, observed: Observation): Environment {
  if (observed.state === "unbound" || !isUnpinned(environment)) return environment;
  return { ...environment, run: { ...environment.run, machines: listMachines(observed) } };
}

/** Notes when a run that waited for a new machine was first seen on one. */
function noteMachine(environment: Environment, observed: Observation | undefined, now: number): Environment {
  const { run } = environment;
  if (!observed || observed.state === "unbound" || !isUnpinned(environment) || run.machineAt !== undefined)
    return environment;
  return { ...environment, run: { ...run, machineAt: now } };
}

/**
 * Returns when the run began to get ready, or null while its new machine has not come. A withdrawal has as long again
 * after the end of that wait, because its pod may never go.
 */
function startsSince(ctx: WorkerContext, environment: Environment): number | null {
  const { machineAt, preparingAt, appliedAt, withdrawing } = environment.run;
  if (!isUnpinned(environment) || machineAt !== undefined || appliedAt === null) return machineAt ?? preparingAt;
  return withdrawing ? appliedAt + bindMs(ctx, environment) : null;
}

function isUnpinned({ run: { grant } }: Environment): boolean {
  return grant?.shares.some(({ node }) => node === null) ?? false;
}

function waitedToBind(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
  step: PreparingStep,
): Step<Environment> {
  const waits = waitedForStart(environment, now, step);
  const latest =
    observed.state === "unbound"
      ? (environment.run.appliedAt ?? now) + bindMs(ctx, environment)
      : Number.POSITIVE_INFINITY;
  return noLaterThan(waits, Math.min(latest, nextExtendAt(environment, now)));
}
