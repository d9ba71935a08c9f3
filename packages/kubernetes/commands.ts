import type { Compute } from "#core/ports/compute.ts";
import type { Exec } from "#core/ports/exec.ts";
import { RunGone } from "#core/problem.ts";
import { readExec, startExec } from "./exec/exec.ts";
import { annotation, type RunId } from "./names.ts";
import { annotate } from "./runs/patch-job.ts";
import { type ClusterContext, findJob, isLiving } from "./runs/read-run.ts";

/** Returns the part of the driver that runs commands in existing runs. API requests need no other part. */
export function kubernetesCommands(place: ClusterContext): Pick<Compute, "startExec" | "readExec"> {
  return {
    startExec: (uid, run, exec) => startMarkedExec(place, { uid, run }, exec),
    readExec: async (uid, run, id, waitMs) => readExec(place, { uid, run }, id, waitMs),
  };
}

/** Marks the Job before the command starts, because commands are counted only in marked runs. */
async function startMarkedExec(place: ClusterContext, id: RunId, exec: Exec): Promise<void> {
  const job = await findJob(place, id);
  if (!job || !isLiving(job)) throw new RunGone();
  if (job.metadata.annotations?.[annotation.execs] === undefined) {
    await annotate(place, job, { [annotation.execs]: "some" });
  }
  await startExec(place, id, exec);
}
