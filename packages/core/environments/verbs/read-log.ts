import type { UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import { changeEnvironment } from "../record/change.ts";
import { COPIED_EVERY_MS, isLogWanted, lacksLastLog, logEndsAt } from "../record/kept-log.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";
import { waitForEnvironment } from "../record/wait.ts";

/** For how long one who reads a log has it copied, and how much of that is left when the next one says so again. */
const WANTED_MS = 120_000;
const WANTED_AGAIN_MS = 60_000;

export interface LogText {
  readonly text: string;
  /** There was more before it. */
  readonly cut: boolean;
}

/**
 * The output of the caller's environment; "" before it began and 7 days after its end. Of one that runs it has it copied
 * for the next two minutes, and waits up to 2 s for a fresh copy; of one that has just ended, for its last one: whoever
 * saw the end asks now. Throws `notFound`.
 */
export async function readLog(ctx: UserContext<"table" | "queue" | "blobs">, id: string): Promise<LogText> {
  await waitForCopy(ctx, id, await getEnvironment(ctx, id));
  return readKeptLog(ctx, id);
}

async function waitForCopy(ctx: UserContext<"table" | "queue">, id: string, environment: Environment): Promise<void> {
  const now = ctx.clock.now();
  if (isCopied(environment, now - COPIED_EVERY_MS + 1)) return;
  try {
    if (isPrinting(environment) && !isLogWanted(environment, now + WANTED_AGAIN_MS)) {
      await changeEnvironment(ctx, id, (before) => ({ ...before, logWantedUntil: now + WANTED_MS }));
    }
    await waitForEnvironment(ctx, id, (read) => !read || isCopied(read, now), COPIED_EVERY_MS);
  } catch (error) {
    // Others were always faster to write: then it is read as it was copied last.
    if (!(error instanceof Problem && error.kind === "unavailable")) throw error;
  }
}

/** Since then while it prints; whole once it has ended, as long as its run is there to be copied from. */
function isCopied(environment: Environment, since: number): boolean {
  if (isPrinting(environment)) return (environment.log?.at ?? 0) >= since;
  const { phase, end, run } = environment;
  const isEnding = (phase === "active" || phase === "stopping") && end.outcome !== null && run.removedAt === null;
  return !isEnding || !lacksLastLog(environment);
}

function isPrinting({ phase, hasCommand, end: { outcome } }: Environment): boolean {
  return hasCommand && phase === "active" && outcome === null;
}

const TRIES = 3;

/** The output as it was copied last. Throws `notFound`. */
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
