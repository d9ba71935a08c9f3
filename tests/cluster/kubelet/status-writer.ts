import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../client.ts";
import { type Pod, podPath } from "./pod.ts";
import { type PodState, podStatus } from "./pod-status.ts";

/** Writes the status of a pod in order, the newest only, and tries again when the API server is away. */
export interface StatusWriter {
  report(): void;
  /** When nothing is left to write. */
  written(): Promise<void>;
}

export function statusWriter(client: KubeClient, state: PodState, mayWrite: () => boolean): StatusWriter {
  let isDue = false;
  let writing: Promise<void> | undefined;
  const writeAll = async () => {
    // Changes within the same turn are written once.
    await Promise.resolve();
    while (isDue && mayWrite()) {
      isDue = false;
      isDue = !(await writeOnce(client, state)) || isDue;
    }
    writing = undefined;
  };
  return {
    report() {
      isDue = true;
      writing ??= writeAll();
    },
    async written() {
      while (writing !== undefined) await writing;
    },
  };
}

async function writeOnce(client: KubeClient, state: PodState): Promise<boolean> {
  const body = { metadata: { uid: state.pod.metadata.uid }, status: podStatus(state) };
  const answer = await client.patch(`${podPath(state.pod)}/status`, body, "strategic-merge").catch(() => undefined);
  if (answer === undefined || isForNow(answer.status)) {
    await sleep(200);
    return false;
  }
  // Not found, or another pod of that name: it is gone.
  if (answer.status < 400 || answer.status === 404 || answer.status === 409) return true;
  throw new Error(`The status of a pretend pod was refused: ${JSON.stringify(answer.body)}`);
}

/** The server has too much to do, or its store is away. */
function isForNow(status: number): boolean {
  return status === 429 || status >= 500;
}

/** The last word of a kubelet: the object goes, if it is still this pod. False when it may no longer try. */
export async function removePod(client: KubeClient, pod: Pod, mayTry: () => boolean): Promise<boolean> {
  while (mayTry()) {
    const options = { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } };
    const answer = await client.remove(podPath(pod), options).catch(() => undefined);
    if (answer !== undefined && !isForNow(answer.status)) return true;
    await sleep(200);
  }
  return false;
}
