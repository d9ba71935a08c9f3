import type { Context } from "../../../context.ts";
import type { Step } from "../../../reconciler/step.ts";
import {
  baseOfRun,
  COPIED_EVERY_MS,
  endOfLog,
  isLogWanted,
  type KeptLog,
  knownEnd,
} from "../../record/log/kept-log.ts";
import type { Environment } from "../../record/record.ts";
import { alsoAfter } from "../../record/step-result.ts";
import { addEntry } from "../../record/timeline.ts";

type LogContext = Context<"compute" | "blobs">;

/** Copies the log of a live run, at most every 2 s. The record changes only for a reader or a new copy. */
export async function followLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  const { hasCommand, log = none } = environment;
  if (!hasCommand || now - log.at < COPIED_EVERY_MS) return environment;
  const copied = await copyLog(ctx, environment, now);
  const isNews = copied.log?.blob !== log.blob || copied.log.failed !== log.failed;
  return isNews || isLogWanted(environment, now) ? copied : environment;
}

export function nextCopyAt(environment: Environment, now: number): number {
  return environment.hasCommand && isLogWanted(environment, now) ? now + COPIED_EVERY_MS : Number.POSITIVE_INFINITY;
}

/**
 * Copies the log while the run is seen, since it is removed with the run. Delays the GPUs by at most 5 s. A failure is
 * noted in the timeline.
 */
export async function copyLastLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  if (!environment.hasCommand || environment.run.appliedAt === null) return environment;
  const { log } = await copyLog(ctx, environment, now);
  const copied = { ...environment, log: { ...log, lastOf: environment.run.n } };
  const isNew = log.failed && environment.end.outcome && !environment.log?.failed;
  return isNew ? addEntry(copied, now, "The end of its log could not be saved") : copied;
}

/** Copies the log, which may still grow. A failure is noted in the record alone. */
export async function copyLog(
  ctx: LogContext,
  environment: Environment,
  now: number,
): Promise<Environment & { readonly log: KeptLog }> {
  const {
    uid,
    run: { n: run },
    log = none,
  } = environment;
  try {
    const { start: printedFrom, bytes, mark } = await ctx.compute.readLog(uid, run, knownEnd(environment));
    const base = baseOfRun(environment);
    const start = base + printedFrom;
    const isSame = log.blob !== null && start + bytes.length === endOfLog(log);
    if (bytes.length === 0 || isSame) return { ...environment, log: { ...log, at: now, failed: false } };
    const blob = `${getCopies(environment)}/${ctx.ids.uid().slice(0, 12)}-${start + bytes.length}`;
    await ctx.blobs.put(blob, bytes);
    const kept = {
      blob,
      hash: "",
      cut: start > 0,
      start,
      bytes: bytes.length,
      run,
      base,
      mark,
      at: now,
      failed: false,
    };
    return { ...environment, log: kept };
  } catch (error) {
    ctx.log.warn("log not kept", { uid, run, error: String(error) });
    return { ...environment, log: { ...log, at: now, failed: true } };
  }
}

function getCopies({ uid }: Environment): string {
  return `logs/${uid}`;
}

/** Removes all copies, including those of lost writes, which no record names. */
export async function removeCopies(ctx: Context<"blobs">, environment: Environment): Promise<void> {
  if (environment.hasCommand) await ctx.blobs.removeUnder(getCopies(environment));
}

const none: KeptLog = { blob: null, hash: "", cut: false, at: 0, failed: false };

export function droppingOldCopy(environment: Environment, step: Step<Environment>): Step<Environment> {
  const [old, next] = [environment.log?.blob, step.record.log?.blob];
  if (!old || !next || old === next) return step;
  return alsoAfter(step, (ctx) => ctx.blobs.remove(old));
}
