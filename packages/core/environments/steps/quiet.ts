import { readGoneNodes } from "../../pools/capacity/node-gone.ts";
import type { WorkerContext } from "../../reconciler/worker.ts";
import { isApplied } from "../access/access.ts";
import { sameResources } from "../record/changes/resize.ts";
import type { Environment } from "../record/record.ts";
import { isAsObserved } from "../record/run/run-marks.ts";
import { nextUseLookAt } from "./auto-stop.ts";
import { nextGpuLookAt } from "./gpu-idle.ts";

/**
 * Whether an active environment may go on without a look at its run, which asks the cluster: nothing is wanted of it that
 * is not done, and a fresh listing of all machines shows its run unchanged. A look because of a signal never may.
 */
export async function needsNoLook(ctx: WorkerContext, environment: Environment, now: number): Promise<boolean> {
  const useLookAt = Math.min(nextUseLookAt(environment), nextGpuLookAt(environment, ctx.settings));
  if (!isSettled(environment) || now >= useLookAt) return false;
  if (!(await isAsObserved(ctx, environment, now))) return false;
  // The message that told it of the operator's word may be lost.
  const uids = environment.run.machines.map(({ uid }) => uid);
  return (await readGoneNodes(ctx, uids, now)).size === 0;
}

function isSettled(environment: Environment): boolean {
  const { run, requests, access, resources, attempts } = environment;
  const { guests, jupyter } = access;
  const isAllDone = requests.list.every(({ status }) => status !== "requested");
  const isSeen = run.missedAt === null && run.machines.every(({ silent }) => silent === null);
  const isOpen = isApplied(environment) && guests.every(({ state }) => state === "in") && jupyter?.origin !== null;
  // What could not be opened is tried again by a look.
  const isReached = run.address?.problem === undefined;
  const isSized = resources === null || sameResources(resources, run.resized);
  return attempts === 0 && isAllDone && isSeen && isOpen && isReached && isSized;
}
