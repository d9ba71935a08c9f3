import type { Compute, Notice } from "#core/ports/compute.ts";
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

/** Script that writes to each terminal in the background, because a terminal stopped with Ctrl-S blocks its writer. */
const script = 'for at in /dev/pts/[0-9]*; do printf "\\r\\n%s\\r\\n" "$1" >"$at" & done; wait';

/** Writes a notice to each terminal of the first machine. The notice of an end is skipped: it would delay the end. */
export async function tellTerminals(
  startExec: Compute["startExec"],
  { uid, run }: RunId,
  { kind, words, at }: Notice,
): Promise<void> {
  if (kind === "end") return;
  await startExec(uid, run, {
    id: `notice-${at}`,
    words: ["/bin/sh", "-c", script, "sh", `[berth] ${words}`],
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: 5_000,
  });
}
