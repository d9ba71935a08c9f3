import type { Notice } from "../../ports/compute.ts";
import { StepTooOld } from "../../reconciler/budget.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import { printableText } from "../../text/printable-text.ts";
import type { EndPhase } from "../record/phases.ts";
import { type Environment, isEnded } from "../record/record.ts";
import { IDLE_WARNING } from "./auto-stop.ts";
import { isReturningToQueue } from "./end/end-interrupted.ts";
import { GPU_WARNING } from "./gpu-idle.ts";
import { INTERRUPTION_WARNING, INTERRUPTION_WITHDRAWN } from "./interruption.ts";
import { END_WARNING, EXTENDED, isWarned } from "./warnings.ts";

export function noticeBetween(before: Environment, after: Environment, now: number): Notice | undefined {
  const said = (...begins: readonly string[]) => findReason(before, after, begins);
  if (isWarned(after) && !isSameWarning(before, after)) {
    return { kind: "warning", words: said(END_WARNING), at: now, endsAt: after.times.endsAt ?? undefined };
  }
  const [interruption, previous] = [after.run.interruption, before.run.interruption];
  if (interruption && interruption.kind !== previous?.kind) {
    return { kind: "warning", words: said(INTERRUPTION_WARNING), at: now, endsAt: interruption.endsAt };
  }
  if (previous && !interruption) return { kind: "news", words: said(INTERRUPTION_WITHDRAWN), at: now };
  const [warned, wasWarned] = [findWarnedAt(after), findWarnedAt(before)];
  if (warned !== null && warned !== wasWarned) {
    return { kind: "warning", words: said(GPU_WARNING, IDLE_WARNING), at: now };
  }
  if (before.times.warnedMinutes !== null && after.times.warnedMinutes === null) {
    return { kind: "news", words: said(EXTENDED), at: now };
  }
  if (warned === null && wasWarned !== null) return { kind: "news", words: IN_USE, at: now };
  return undefined;
}

function findReason(before: Environment, { events }: Environment, begins: readonly string[]): string {
  const news = events.timeline.filter(({ n }) => n > before.events.count);
  const reasons = news.flatMap(({ reason }) => reason ?? []);
  return printableText(reasons.findLast((reason) => begins.some((begin) => reason.startsWith(begin))) ?? "");
}

function isSameWarning({ times: before }: Environment, { times: after }: Environment): boolean {
  return before.warnedMinutes === after.warnedMinutes && before.warnedOf === after.warnedOf;
}

function findWarnedAt({ use: { gpus, idle } }: Environment): number | null {
  const times = [gpus?.warnedAt, idle?.warnedAt].filter((at) => typeof at === "number");
  return times.length > 0 ? Math.max(...times) : null;
}

const IN_USE = "In use again: it does not end";
const NOTICES = [END_WARNING, EXTENDED, GPU_WARNING, IDLE_WARNING, INTERRUPTION_WARNING, INTERRUPTION_WITHDRAWN];

export function findNewestNotice({ events }: Pick<Environment, "events">): { n: number; words: string } | undefined {
  const entry = events.timeline.findLast(({ reason }) => NOTICES.some((begin) => reason?.startsWith(begin)));
  return entry && { n: entry.n, words: printableText(entry.reason ?? "") };
}

/** Returns the notice that a gateway shows from a record: why the run ends, or else the newest warning or news. */
export function currentNotice(environment: Environment): Notice | undefined {
  const { end, phase, events, times } = environment;
  if (end.outcome || phase === "stopping" || phase === "stopped" || isEnded(environment)) {
    return { kind: "end", words: endMessage(environment), at: end.outcome?.at ?? end.stoppingAt ?? end.at ?? 0 };
  }
  const entry = events.timeline.findLast(({ reason }) => NOTICES.some((begin) => reason?.startsWith(begin)));
  if (!entry) return undefined;
  const { at, reason } = entry;
  const words = printableText(reason ?? "");
  if (reason?.startsWith(END_WARNING)) {
    return isWarned(environment) ? { kind: "warning", words, at, endsAt: times.endsAt ?? undefined } : undefined;
  }
  if (reason?.startsWith(INTERRUPTION_WARNING)) {
    const { interruption } = environment.run;
    return interruption && { kind: "warning", words, at, endsAt: interruption.endsAt };
  }
  if ([EXTENDED, INTERRUPTION_WITHDRAWN].some((begin) => reason?.startsWith(begin))) return { kind: "news", words, at };
  // No entry says that a warning about idleness is withdrawn.
  return findWarnedAt(environment) === null
    ? { kind: "news", words: IN_USE, at: at + 1 }
    : { kind: "warning", words, at };
}

/** Tells the terminals why a run ends, before its removal. A failure does not delay the end. */
export async function tellEnd(ctx: WorkerContext, environment: Environment, now: number): Promise<void> {
  const { uid, run, end } = environment;
  try {
    await ctx.compute.tell(uid, run.n, { kind: "end", words: endMessage(environment), at: end.stoppingAt ?? now });
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("end not told", { uid, run: run.n, error: String(error) });
  }
}

const verbs = {
  completed: "has completed",
  expired: "has expired",
  cancelled: "was cancelled",
  failed: "has failed",
  deleted: "was deleted",
} as const satisfies Record<EndPhase, string>;

export function endMessage(environment: Environment, noun = "environment"): string {
  const {
    end: { outcome },
    run,
    reason,
  } = environment;
  const stopped = isReturningToQueue(environment) ? "was interrupted and returns to the queue" : "was stopped";
  const verb = outcome ? verbs[outcome.phase] : run.error === null ? stopped : "has failed";
  const why = outcome ? outcome.reason : (run.error ?? reason);
  return printableText(`This ${noun} ${verb}${why ? `: ${why}` : ""}`);
}
