import type { Context } from "../../context.ts";
import type { Step } from "../../worker.ts";
import { COPIED_EVERY_MS, isLogWanted, type KeptLog } from "../record/kept-log.ts";
import { startOfNewer } from "../record/log-window.ts";
import type { Environment } from "../record/record.ts";
import { alsoAfter } from "../record/step-result.ts";
import { addEntry } from "../record/timeline.ts";

const MOST_BYTES = 1024 * 1024;

type LogContext = Context<"compute" | "blobs">;

/** Copies the log of a run that lives, at most every 2 s. While nobody reads the log only what is new is noted. */
export async function followLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  const { hasCommand, log = none } = environment;
  if (!hasCommand || now - log.at < COPIED_EVERY_MS) return environment;
  const copied = await copyLog(ctx, environment, now);
  const isNews = copied.log?.blob !== log.blob || copied.log.failed !== log.failed;
  return isNews || isLogWanted(environment, now) ? copied : environment;
}

/** When it is copied again because somebody reads it. */
export function nextCopyAt(environment: Environment, now: number): number {
  return environment.hasCommand && isLogWanted(environment, now) ? now + COPIED_EVERY_MS : Number.POSITIVE_INFINITY;
}

/**
 * Copies the log of a run that is being removed, as long as the run is seen: neither a deleted pod nor a removed run
 * directory has a log left to read. The copy costs the GPUs at most one read and one write, 5 s together, however they
 * fail; the timeline says what failed.
 */
export async function copyLastLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  if (!environment.hasCommand || environment.run.appliedAt === null) return environment;
  const { log } = await copyLog(ctx, environment, now, true);
  const copied = { ...environment, log: { ...log, lastOf: environment.run.n } };
  const isNew = log.failed && environment.end.outcome && !environment.log?.failed;
  return isNew ? addEntry(copied, now, "The end of its log could not be kept") : copied;
}

async function copyLog(
  ctx: LogContext,
  environment: Environment,
  now: number,
  isLast = false,
): Promise<Environment & { readonly log: KeptLog }> {
  const {
    uid,
    run: { n: run },
    log = none,
  } = environment;
  try {
    const printed = await ctx.compute.readLog(uid, run);
    const text = isLast ? printed : withoutPart(printed);
    const hash = ctx.ids.hash(text);
    if (text === "" || hash === log.hash) return { ...environment, log: { ...log, at: now, failed: false } };
    const { bytes, cut } = newest(text);
    const blob = `${copiesOf(environment)}/${ctx.ids.uid().slice(0, 12)}-${hash.slice(0, 16)}`;
    const start = await startOf(ctx, log, { bytes, cut });
    await ctx.blobs.put(blob, bytes);
    return {
      ...environment,
      log: { blob, hash, cut: cut || start > 0, start, bytes: bytes.length, at: now, failed: false },
    };
  } catch (error) {
    ctx.log.warn("log not kept", { uid, run, error: String(error) });
    return { ...environment, log: { ...log, at: now, failed: true } };
  }
}

/**
 * Drops what may be the first bytes of a character whose others were not printed yet. The character would stand in the next
 * copy in their place, and who follows the log would have read both.
 */
function withoutPart(text: string): string {
  return text.replace(/\uFFFD{1,3}$/, "");
}

/**
 * Returns where a copy starts. As long as nothing was cut away it holds the whole output. A shorter copy than before lacks
 * the beginning: a kubelet that rotated the log file shows the new file alone.
 */
async function startOf(ctx: LogContext, kept: KeptLog, { bytes, cut }: Newest): Promise<number> {
  const { start = 0, blob, bytes: size = 0 } = kept;
  if (blob === null || (start === 0 && !cut && bytes.length >= size)) return 0;
  const older = await ctx.blobs.get(blob);
  return older ? startOfNewer({ start, bytes: older }, bytes) : start + (kept.bytes ?? MOST_BYTES) + 1;
}

function copiesOf({ uid }: Environment): string {
  return `logs/${uid}`;
}

/** All copies, also those of writes that were lost, which no record names. */
export async function removeCopies(ctx: Context<"blobs">, environment: Environment): Promise<void> {
  if (environment.hasCommand) await ctx.blobs.removeUnder(copiesOf(environment));
}

const none: KeptLog = { blob: null, hash: "", cut: false, at: 0, failed: false };

interface Newest {
  readonly bytes: Uint8Array;
  readonly cut: boolean;
}

/** The newest MiB, beginning with a whole character. */
function newest(text: string): Newest {
  const bytes = new TextEncoder().encode(text);
  // A compute that cuts by itself leaves up to three bytes of a character away.
  if (bytes.length <= MOST_BYTES) return { bytes, cut: bytes.length > MOST_BYTES - 4 };
  let from = bytes.length - MOST_BYTES;
  while (((bytes[from] ?? 0) & 0xc0) === 0x80) from++;
  return { bytes: bytes.subarray(from), cut: true };
}

/** The same step, which removes the copy that its record no longer names once that is written. */
export function droppingOldCopy(environment: Environment, step: Step<Environment>): Step<Environment> {
  const [old, next] = [environment.log?.blob, step.record.log?.blob];
  if (!old || !next || old === next) return step;
  return alsoAfter(step, (ctx) => ctx.blobs.remove(old));
}
