import type { Observation } from "../../../ports/compute.ts";
import { StepTooOld } from "../../../reconciler/budget.ts";
import type { Step, WorkerContext } from "../../../reconciler/step.ts";
import { lacksLastLog } from "../../record/log/kept-log.ts";
import { getGraceSeconds } from "../../record/policy.ts";
import type { Environment } from "../../record/record.ts";
import { changed, requeueAt, waitMs } from "../../record/step-result.ts";
import { copyLastLog, copyLog } from "./log.ts";

/** Time that a cluster may take after the grace period to report the end of the command. */
const SEEN_WITHIN_MS = 5_000;
const COPIED_EVERY_MS = 1_000;

/** Ends the command, then copies its log: output after SIGTERM ("checkpoint saved") often matters most. */
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

/** Waits until the command has ended, for at most its grace period. Asks it to end if the cluster does not do so. */
async function endCommand(
  ctx: WorkerContext,
  environment: Environment,
  seen: Observation,
  now: number,
): Promise<Step<Environment> | undefined> {
  const { run } = environment;
  const isSilent = seen.nodes.some(({ silent }) => silent !== null);
  const isOver = seen.state === "ended" && !seen.mayPrint;
  if (!seen.started || isOver || seen.terminating || isSilent) return undefined;
  const terminatedAt = run.terminatedAt ?? now;
  const until = terminatedAt + getGraceSeconds(environment, ctx.settings) * 1000 + SEEN_WITHIN_MS;
  if (now >= until) return undefined;
  const stopping: Environment = {
    ...environment,
    run: { ...run, terminatedAt },
    end: { ...environment.end, waitsFor: "Waits until its command has ended" },
  };
  // A cluster that ends the run removes its log at the end of the command, so the copy must not wait until then.
  if (seen.mayPrint)
    return requeueAt(await copyLog(ctx, stopping, now), now + COPIED_EVERY_MS, "copies its last output");
  if (!(await terminate(ctx, environment))) return undefined;
  return requeueAt(stopping, Math.min(now + waitMs(environment), until), "ends its command");
}

async function terminate(ctx: WorkerContext, environment: Environment): Promise<boolean> {
  const {
    uid,
    run: { n: run },
  } = environment;
  try {
    return await ctx.compute.terminate(uid, run, getGraceSeconds(environment, ctx.settings));
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("command not asked to end", { uid, run, error: String(error) });
    return true;
  }
}
