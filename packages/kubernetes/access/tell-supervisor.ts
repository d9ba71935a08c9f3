import type { Access } from "#core/ports/compute.ts";
import { RunGone } from "#core/problem.ts";
import { askPod } from "../exec/supervised-exec.ts";
import type { RunId } from "../names.ts";
import type { Job, Pod } from "../objects.ts";
import { type ClusterContext, livingPod } from "../runs/read-run.ts";
import { jupyterService } from "./jupyter.ts";
import { askSupervisor, isSupervised, sshService } from "./tools.ts";

const answerWithinMs = 10_000;

interface Telling {
  readonly job: Job;
  readonly access: Access;
  /** Port of the SSH server; undefined if the run has none. */
  readonly sshPort: number | undefined;
}

/** Sends the access to the supervisor of the first machine, which stores it. Without one it does nothing. */
export async function tellSupervisor(
  place: ClusterContext,
  id: RunId,
  { job, access, sshPort }: Telling,
): Promise<void> {
  const pod = await livingPod(place, id).catch(noneIfGone);
  if (!pod || !isSupervised(pod)) return;
  const { revision, login, keys, jupyter } = access;
  const files = { authorized_keys: keys.map((key) => `${key}\n`).join("") };
  const services = {
    ...(jupyter ? { jupyter: jupyterService(job, jupyter.token) } : {}),
    ...(sshPort !== undefined && keys.length > 0 ? { ssh: sshService(login, sshPort) } : {}),
  };
  const stdin = JSON.stringify({ revision, files, services });
  const { exitCode } = await askPod(place, pod, { words: askSupervisor("access"), stdin, timeoutMs: answerWithinMs });
  if (exitCode !== 0) throw new Error("The supervisor of this container refused the access");
}

function noneIfGone(error: unknown): Pod | undefined {
  if (error instanceof RunGone) return undefined;
  throw error;
}
