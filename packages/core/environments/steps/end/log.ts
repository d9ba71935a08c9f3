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

const noBytes = new Uint8Array();
/** The longest copy, which is also what the cluster keeps of one run. */
const MOST_BYTES = 1024 * 1024;

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
    const earlier = printedFrom === 0 ? await readEarlier(ctx, environment, MOST_BYTES - bytes.length) : noBytes;
    const copy = concatBytes(earlier, bytes);
    await ctx.blobs.put(blob, copy);
    const copiedFrom = start - earlier.length;
    const kept = {
      blob,
      hash: "",
      cut: copiedFrom > 0,
      start: copiedFrom,
      bytes: copy.length,
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

/**
 * Returns the last output of earlier runs, from the former copy. An environment that was started again by its owner
 * begins a new log.
 */
async function readEarlier(ctx: LogContext, environment: Environment, mostBytes: number): Promise<Uint8Array> {
  const { log, policy } = environment;
  const base = baseOfRun(environment);
  const { blob = null, start = 0 } = log ?? {};
  if (policy.restarts || blob === null || start >= base || mostBytes <= 0) return noBytes;
  const bytes = await ctx.blobs.get(blob);
  return bytes?.subarray(0, base - start).slice(-mostBytes) ?? noBytes;
}

function concatBytes(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second;
  const all = new Uint8Array(first.length + second.length);
  all.set(first);
  all.set(second, first.length);
  return all;
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
