import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Item } from "../../ports/table.ts";
import { ClusterAway } from "../../problem.ts";
import { noteAnsweredRequest } from "../../reconciler/cluster-state.ts";
import type { Step, WorkerContext } from "../../reconciler/step.ts";
import { isLedgerItem, keyOfText, kindOfKey, nodeGoneKey } from "../../store/keys.ts";
import { dueWhileEventsWait, emitOutbox, hasEventsToEmit } from "../../webhooks/outbox.ts";
import { parseEnvironment } from "../record/parse.ts";
import type { Phase } from "../record/phases.ts";
import type { Environment } from "../record/record.ts";
import { isClusterSilent, noteLatePass, noteNoAnswer } from "../record/run/unseen.ts";
import { changed, notifyPool } from "../record/step-result.ts";
import { restart } from "../verbs/restart.ts";
import { stepActive } from "./active.ts";
import { latestCheckAt } from "./deadlines.ts";
import { checkAfterEnd, stepEnded, stepStopping } from "./end/ending.ts";
import { finalize, withoutSecrets } from "./end/finalize.ts";
import { removeLeftoversOfRuns } from "./end/leftover-runs.ts";
import { droppingOldCopy } from "./end/log.ts";
import { stepOverdue } from "./overdue.ts";
import { settleVolumes } from "./start/own-volumes.ts";
import { stepPreparing } from "./start/preparing.ts";
import { stepQueued } from "./start/queued.ts";

export type EnvironmentStep = Step<Environment>;

type PhaseStep = (
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: ReconcileRequest,
) => Promise<EnvironmentStep | undefined>;

const steps = {
  queued: stepQueued,
  preparing: stepPreparing,
  active: stepActive,
  stopping: stepStopping,
  stopped: stepStopped,
  completed: stepEnded,
  expired: stepEnded,
  cancelled: stepEnded,
  failed: stepEnded,
  deleted: stepEnded,
} satisfies Record<Phase, PhaseStep>;

export async function stepEnvironment(
  ctx: WorkerContext,
  item: Item,
  now: number,
  message: ReconcileRequest,
): Promise<EnvironmentStep | undefined> {
  const environment = noteLatePass(parseEnvironment(item), now);
  const step = (await stepOverdue(ctx, environment, now)) ?? (await nextStep(ctx, environment, now, message));
  if (!step) return undefined;
  const { record } = step;
  const dueAt = record.dueAt && Math.min(record.dueAt, latestCheckAt(record, ctx.settings, now));
  const over = withOutageEnd(environment, { ...step, record: { ...record, dueAt, attempts: 0, fault: null } });
  return dueWhileEventsWait(droppingOldCopy(environment, over), now);
}

function withOutageEnd(before: Environment, step: EnvironmentStep): EnvironmentStep {
  if (!isClusterSilent(before) || isClusterSilent(step.record)) return step;
  return {
    ...step,
    async after(ctx) {
      await noteAnsweredRequest(ctx);
      await step.after?.(ctx);
    },
  };
}

async function nextStep(
  ctx: WorkerContext,
  environment: Environment,
  now: number,
  message: ReconcileRequest,
): Promise<EnvironmentStep | undefined> {
  if (hasEventsToEmit(environment)) return emitOutbox(ctx, environment, now);
  const settled = await settleVolumes(ctx, environment, now);
  if (settled) return settled;
  const mayHaveLeftovers =
    environment.run.leftoversAt !== null && now >= environment.run.leftoversAt && isUnderWay(environment);
  const findStep = mayHaveLeftovers ? removeLeftoversOfRuns : steps[environment.phase];
  return findStep(ctx, environment, now, message);
}

function isUnderWay({ phase }: Environment): boolean {
  return phase === "queued" || phase === "preparing" || phase === "active";
}

function hasRun({ phase, dueAt }: Item): boolean {
  return dueAt !== undefined && (phase === "preparing" || phase === "active" || phase === "stopping");
}

export interface Failure {
  readonly attempts: number;
  readonly fault: string;
  readonly dueAt: number;
}

/** Returns an environment after a failed step. It is due again before its next limit passes. */
export function afterFailure(
  ctx: WorkerContext,
  item: Item,
  failure: Failure,
  error: unknown,
  now: number,
): Environment {
  const late = noteLatePass(parseEnvironment(item), now);
  const environment = error instanceof ClusterAway ? noteNoAnswer(late, now) : late;
  const dueAt = Math.min(failure.dueAt, latestCheckAt(environment, ctx.settings, now));
  return { ...environment, ...failure, dueAt };
}

/** Reports whether a message justifies a reconcile before the record is due (docs/architecture/admission.md). */
export function shouldProcessEarly(item: Item, message: ReconcileRequest): boolean {
  if (message.hint) return item.kind === "disk" || (item.kind === "environment" && hasRun(item));
  const named = message.for ?? [];
  if (named.some((key) => key.startsWith(nodeGoneKey("").pk)))
    return (item.run as { readonly grant?: unknown } | undefined)?.grant != null;
  const size = item.size as { pool?: unknown } | undefined;
  if (item.phase !== "queued" || typeof size?.pool !== "string") return false;
  const { pool } = size;
  return named.some((key) => isLedgerItem(String(pool), key) || (isDisk(key) && item.waitPool === undefined));
}

function isDisk(text: string): boolean {
  const key = keyOfText(text);
  return key !== undefined && kindOfKey(key) === "disk";
}

const AS_BEFORE = { size: null, receiver: null };

async function stepStopped(ctx: WorkerContext, environment: Environment, now: number): Promise<Step<Environment>> {
  const {
    end: { outcome },
    goal: { desired, start: remembered },
  } = environment;
  if (outcome) return finalize(ctx, environment, now);
  if (desired === "active") {
    return notifyPool(changed(restart(environment, now, remembered ?? AS_BEFORE), now, "starts again"));
  }
  const bare = await withoutSecrets(ctx, environment);
  const check = await checkAfterEnd(ctx, bare, now);
  return check === "done" ? { record: { ...bare, dueAt: undefined }, notify: [], log: "done" } : check;
}
