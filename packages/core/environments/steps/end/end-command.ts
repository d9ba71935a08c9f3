import type { Observation } from "../../../ports/compute.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { lacksLastLog } from "../../record/log/kept-log.ts";
import type { Environment } from "../../record/record.ts";
import { changed, requeueAt, waitMs } from "../../record/step-result.ts";
import { copyLastLog } from "./log.ts";

/** Time from SIGTERM to SIGKILL for a command. */
export const GRACE_SECONDS = 10;
/** Time that a cluster may take after the grace period to report the end of the command. */
const SEEN_WITHIN_MS = 5_000;

/**
 * Ends the command and then copies its log, before `remove` deletes it: output after SIGTERM ("checkpoint saved") often
 * matters most. Returns undefined if there is no command or the log is already copied.
 */
export async function keepLastLog(
  ctx: WorkerContext,
  environment: Environment,
  seen: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  if (!lacksLastLog(environment)) return undefined;
  const waits = await endCommand(ctx, environment, seen, now);
  return waits ?? changed(await copyLastLog(ctx, environment, now), now, "kept its log");
}

/**
 * Asks the command to end, at each look until the end is seen; a failed call is repeated. After the grace period the
 * run is removed anyway. Returns undefined if there is nothing to wait for.
 */
async function endCommand(
  ctx: WorkerContext,
  environment: Environment,
  seen: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { run } = environment;
  const isSilent = seen.nodes.some(({ silent }) => silent !== null);
  if (!seen.started || seen.state === "ended" || seen.terminating || isSilent) return undefined;
  const terminatedAt = run.terminatedAt ?? now;
  const until = terminatedAt + GRACE_SECONDS * 1000 + SEEN_WITHIN_MS;
  if (now >= until || !(await terminate(ctx, environment))) return undefined;
  const stopping: Environment = {
    ...environment,
    run: { ...run, terminatedAt },
    end: { ...environment.end, waitsFor: "Waits until its command has ended" },
  };
  return requeueAt(stopping, Math.min(now + waitMs(environment), until), "ends its command");
}

async function terminate(ctx: WorkerContext, { uid, run: { n: run } }: Environment): Promise<boolean> {
  try {
    return await ctx.compute.terminate(uid, run, GRACE_SECONDS);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("command not asked to end", { uid, run, error: String(error) });
    return true;
  }
}
