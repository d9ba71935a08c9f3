import type { Observation } from "../../ports/compute.ts";
import { ClusterAway } from "../../problem.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import type { Environment } from "../record/record.ts";

export async function observeRun(
  ctx: WorkerContext,
  { uid, run }: Pick<Environment, "uid" | "run">,
): Promise<Observation | undefined> {
  try {
    return await ctx.compute.observe(uid, run.n);
  } catch (error) {
    throw new ClusterAway(error);
  }
}
