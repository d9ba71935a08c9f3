import { readGoneNodes } from "../../pools/capacity/node-gone.ts";
import type { Observation } from "../../ports/compute.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { isApplied, nextAccessAt, stepAccess } from "../access/access.ts";
import { nextExtensionAt } from "../record/changes/extensions.ts";
import { resizeRun, sameResources } from "../record/changes/resize.ts";
import type { Environment } from "../record/record.ts";
import { computeDigest, matchesDigest } from "../record/run/observation-digest.ts";
import { noteAnswer } from "../record/run/unseen.ts";
import { alsoAfter, changed, noLaterThan, notifyPool, requeueAt } from "../record/step-result.ts";
import { checkUse, nextUseCheckAt } from "./auto-stop.ts";
import { endInterrupted, leavesAt } from "./end/end-interrupted.ts";
import { endItself } from "./end/end-itself.ts";
import { stopping } from "./end/end-run.ts";
import { followLog, nextCopyAt } from "./end/log.ts";
import { noStartFrom } from "./end/release.ts";
import { checkGpus, nextGpuCheckAt } from "./gpu-idle.ts";
import { describeLeaving, noteInterruption } from "./interruption.ts";
import { stepLostMachine } from "./lost-node.ts";
import { noticeBetween } from "./notices.ts";
import { observeRun } from "./observe-run.ts";
import { extendRun, nextExtendAt } from "./start/make-run.ts";
import { clearMissing, markRunMissing, noteGoing } from "./start/run-not-found.ts";
import { nextWarningAt, warn } from "./warnings.ts";

/** Reconcile interval at a run that is being deleted, in case its end sends no hint. */
const GOING_MS = 30_000;
/** Reconcile interval at a run without hints (docs/architecture/reconciliation.md). */
const EVERY_MS = 300_000;
const NEVER = Number.POSITIVE_INFINITY;

export async function stepActive(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<Step<Environment>> {
  const step = await reconcileActive(ctx, environment, now, message);
  const notice = step.record.phase === "active" ? noticeBetween(environment, step.record, now) : undefined;
  const { uid, run } = step.record;
  return notice ? alsoAfter(step, (ctx) => ctx.compute.tell(uid, run.n, notice)) : step;
}

async function reconcileActive(
  ctx: WorkerContext,
  storedEnvironment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<Step<Environment>> {
  const knownEnvironment = noStartFrom(storedEnvironment, now);
  if (knownEnvironment.end.outcome) return stopping(knownEnvironment, now);
  const isSignal = message.hint === true || message.for !== undefined;
  const isLeaving = now >= leavesAt(knownEnvironment, ctx.settings, now);
  if (!isSignal && !isLeaving && (await canSkipObservation(ctx, knownEnvironment, now)))
    return goOn(ctx, await keepUp(ctx, knownEnvironment, now), now);
  // Until this reconcile has handled all that it sees, the next one must observe.
  const unmarked = { ...knownEnvironment, run: { ...knownEnvironment.run, mark: undefined } };
  const observed = await observeRun(ctx, unmarked);
  const answered = noteAnswer(unmarked, now);
  if (!observed) return markRunMissing(ctx, answered, now);
  if (observed.state === "ended") return endItself(answered, observed, now);
  const environment = noteGoing(answered, observed);
  if (environment.run.missedAt !== null) return clearMissing(environment, now);
  const noticed = mayBeInterrupted(environment, message) ? await noteInterruption(ctx, environment, now) : environment;
  if (noticed !== environment) return changed(noticed, now, "notes an interruption");
  if (isLeaving) return endInterrupted(environment, now, describeLeaving(environment));
  // Extend before waiting for a silent machine: the cluster's own deadline does not wait.
  const extended = await extendRun(ctx, environment, now);
  const isTaken = extended !== environment && nextExtensionAt(extended) > now;
  if (isTaken) return notifyPool(changed(extended, now, "extended"));
  const silent = await stepLostMachine(ctx, extended, observed.nodes, now);
  if (silent) return noLaterThan(silent, nextExtendAt(silent.record, now));
  const resized = await resizeRun(ctx, extended, now);
  if (resized) return resized;
  const used = await checkUse(ctx, withObservation(ctx, extended, observed), observed, now);
  const decided = used.phase === "active" ? checkGpus(ctx, used, observed, now) : used;
  if (decided.phase !== "active") return changed(decided, now, "unused");
  const kept = await keepUp(ctx, decided, now);
  const toDo = await stepAccess(ctx, kept, observed, now);
  return toDo ? noLaterThan(toDo, nextCheckAt(ctx, kept, now)) : goOn(ctx, kept, now);
}

/** Reports whether to read the notices about the machines. Signals of the cluster are too many for one more read each. */
function mayBeInterrupted({ run }: Environment, { hint, interrupted }: ReconcileRequest): boolean {
  return interrupted === true || hint !== true || run.interruption !== undefined;
}

/** Updates warnings and log, which need no observation. */
function keepUp(ctx: WorkerContext, environment: Environment, now: number): Promise<Environment> {
  return followLog(ctx, warn(environment, now), now);
}

function goOn(ctx: WorkerContext, environment: Environment, now: number): Step<Environment> {
  return requeueAt(environment, Math.min(nextCheckAt(ctx, environment, now), nextAccessAt(environment)), "active");
}

function nextCheckAt({ settings }: WorkerContext, environment: Environment, now: number): number {
  const { run } = environment;
  const goneAt = run.going ? now + GOING_MS : NEVER;
  const further = [goneAt, nextCopyAt(environment, now), nextExtendAt(environment, now), run.resizing?.nextAt ?? NEVER];
  const ends = [nextWarningAt(environment, now), leavesAt(environment, settings, now)];
  return Math.min(now + EVERY_MS, ...ends, ...further);
}

function withObservation(ctx: WorkerContext, environment: Environment, observed: Observation): Environment {
  const { run } = environment;
  const { address, ports, limits, isolation, nodes } = observed;
  // A terminating run gets no mark, so that each reconcile observes it: its last change may send no hint.
  const mark = observed.terminating ? undefined : computeDigest(ctx, run.n, nodes);
  return { ...environment, run: { ...run, address: address ?? run.address, ports, limits, isolation, mark } };
}

/**
 * Reports whether a reconcile can skip the cluster: no request is open, and a fresh listing shows the run unchanged.
 */
async function canSkipObservation(ctx: WorkerContext, environment: Environment, now: number): Promise<boolean> {
  const useCheckAt = Math.min(nextUseCheckAt(environment), nextGpuCheckAt(environment, ctx.settings));
  if (!isSettled(environment) || now >= useCheckAt) return false;
  if (!(await matchesDigest(ctx, environment, now))) return false;
  // The message about a node that the operator declared gone, or that its provider takes back, may be lost.
  const uids = environment.run.machines.map(({ uid }) => uid);
  if ((await readGoneNodes(ctx, uids, now)).size > 0) return false;
  return (await noteInterruption(ctx, environment, now)) === environment;
}

function isSettled(environment: Environment): boolean {
  const { run, requests, access, resources, attempts } = environment;
  const { guests, jupyter } = access;
  const isAllDone = requests.list.every(({ status }) => status !== "requested");
  const isSeen = run.missedAt === null && run.machines.every(({ silent }) => silent === null);
  const isOpen = isApplied(environment) && guests.every(({ state }) => state === "in") && jupyter?.origin !== null;
  // A reconcile retries an address that could not be opened.
  const isReached = run.address?.problem === undefined;
  const isSized = resources === null || sameResources(resources, run.resized);
  return attempts === 0 && isAllDone && isSeen && isOpen && isReached && isSized;
}
