import type { Context, UserContext } from "../context.ts";
import type { Step } from "../worker.ts";
import { getEnvironment } from "./read.ts";
import type { Environment } from "./record.ts";
import { addEntry } from "./timeline.ts";

/** What the blobs hold of the output of an environment's command. */
export interface KeptLog {
  /** Each copy has a name of its own, so that a worker that slept overwrites nothing; null: none was made yet. */
  readonly blob: string | null;
  readonly hash: string;
  /** Older output was cut away. */
  readonly cut: boolean;
  /** When it was compared with what the run printed, ms. */
  readonly at: number;
  /** The latest attempt failed. */
  readonly failed: boolean;
}

const MOST_BYTES = 1024 * 1024;
const EVERY_MS = 5_000;
const DAY_MS = 24 * 3_600_000;
/** contracts/gpu-dev section 3. */
const KEPT_AFTER_END_MS = 7 * DAY_MS;

type LogContext = Context<"compute" | "blobs">;

/** Of a run that lives: at most every 5 s once it has printed something, and only more. A failure is tried again. */
export async function followLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  if (!environment.hasCommand || now - (environment.log?.at ?? 0) < EVERY_MS) return environment;
  return copyLog(ctx, environment, now);
}

/**
 * Of a run that is being removed, as long as it is seen. Before its removal and not after it, as the order of the end
 * has it (design section 2): neither a deleted pod nor a removed run directory has a log left to read. It costs the
 * GPUs at most one read and one write, 5 s together, however they fail; what failed is told in the timeline.
 */
export async function copyLastLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  if (!environment.hasCommand || environment.run.appliedAt === null) return environment;
  const copied = await copyLog(ctx, environment, now);
  const isNew = copied.log?.failed && environment.end.outcome && !environment.log?.failed;
  return isNew ? addEntry(copied, now, "The end of its log could not be kept") : copied;
}

async function copyLog(ctx: LogContext, environment: Environment, now: number): Promise<Environment> {
  const {
    uid,
    run: { n: run },
    log = none,
  } = environment;
  try {
    const text = await ctx.compute.readLog(uid, run);
    const hash = ctx.ids.hash(text);
    if (text === "" && log === none) return environment;
    if (text === "" || hash === log.hash) return { ...environment, log: { ...log, at: now, failed: false } };
    const { bytes, cut } = newest(text);
    const blob = `logs/${uid}/${ctx.ids.uid().slice(0, 12)}-${hash.slice(0, 16)}`;
    await ctx.blobs.put(blob, bytes);
    return { ...environment, log: { blob, hash, cut, at: now, failed: false } };
  } catch (error) {
    ctx.log.warn("log not kept", { uid, run, error: String(error) });
    return { ...environment, log: { ...log, at: now, failed: true } };
  }
}

const none: KeptLog = { blob: null, hash: "", cut: false, at: 0, failed: false };

/** The newest MiB, beginning with a whole character. */
function newest(text: string): { bytes: Uint8Array; cut: boolean } {
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
  if (!old || !next || step.act || old === next) return step;
  return { ...step, act: (ctx) => ctx.blobs.remove(old) };
}

/** When the log of an ended environment goes; undefined where there is none. */
export function logEndsAt({ log, end: { at: endedAt } }: Environment): number | undefined {
  return log?.blob && endedAt !== null ? endedAt + KEPT_AFTER_END_MS : undefined;
}

export interface LogText {
  readonly text: string;
  /** There was more before it. */
  readonly cut: boolean;
}

const TRIES = 3;

/**
 * The output of the caller's environment as it was copied last, at most some seconds ago; "" before it began and 7
 * days after its end. Throws `notFound`.
 */
export async function readKeptLog(ctx: UserContext<"table" | "blobs">, id: string): Promise<LogText> {
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const { log } = environment;
    const isOver = ctx.clock.now() >= (logEndsAt(environment) ?? Number.POSITIVE_INFINITY);
    if (!log?.blob || isOver) break;
    const bytes = await ctx.blobs.get(log.blob);
    // Gone means that a newer copy has taken its place meanwhile.
    if (bytes) return { text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes), cut: log.cut };
  }
  return { text: "", cut: false };
}
