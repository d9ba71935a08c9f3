import { readGoneNodes } from "../../pools/capacity/node-gone.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import { isApplied } from "../access/access.ts";
import { sameResources } from "../record/changes/resize.ts";
import type { Environment } from "../record/record.ts";
import { matchesDigest } from "../record/run/observation-digest.ts";
import { nextUseCheckAt } from "./auto-stop.ts";
import { nextGpuCheckAt } from "./gpu-idle.ts";

/**
 * Reports whether a reconcile can skip the cluster: no request is open, and a fresh listing shows the run unchanged.
 */
export async function canSkipObservation(ctx: WorkerContext, environment: Environment, now: number): Promise<boolean> {
  const useCheckAt = Math.min(nextUseCheckAt(environment), nextGpuCheckAt(environment, ctx.settings));
  if (!isSettled(environment) || now >= useCheckAt) return false;
  if (!(await matchesDigest(ctx, environment, now))) return false;
  // The message about a node that the operator declared gone may be lost.
  const uids = environment.run.machines.map(({ uid }) => uid);
  return (await readGoneNodes(ctx, uids, now)).size === 0;
}

function isSettled(environment: Environment): boolean {
  const { run, requests, access, resources, attempts } = environment;
  const { guests, jupyter } = access;
  const isAllDone = requests.list.every(({ status }) => status !== "requested");
  const isSeen = run.missedAt === null && run.machines.every(({ silent }) => silent === null);
  const isOpen = isApplied(environment) && guests.every(({ state }) => state === "in") && jupyter?.origin !== null;
  // A reconcile retries an address that could not be opened.
  const isReached = run.address?.problem === undefined;
  const isSized = resources === null || sameResources(resources, run.resized);
  return attempts === 0 && isAllDone && isSeen && isOpen && isReached && isSized;
}
