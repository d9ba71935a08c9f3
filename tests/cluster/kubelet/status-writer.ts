import { setTimeout as sleep } from "node:timers/promises";
import type { KubeClient } from "../client.ts";
import { type Pod, podPath } from "./pod.ts";
import { type PodState, podStatus } from "./pod-status.ts";

/** Writes the newest status of a pod, in order. Tries again while the API server is away. */
export interface StatusWriter {
  report(): void;
  /** Resolves when nothing is left to write. */
  written(): Promise<void>;
}

export function statusWriter(client: KubeClient, state: PodState, mayWrite: () => boolean): StatusWriter {
  let isDue = false;
  let writing: Promise<void> | undefined;
  const writeAll = async () => {
    // Changes of the same tick are written once.
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
  // The pod is gone: not found, or another pod of that name.
  if (answer.status < 400 || answer.status === 404 || answer.status === 409) return true;
  throw new Error(`The status of a pretend pod was refused: ${JSON.stringify(answer.body)}`);
}

/** Reports whether the server is only overloaded, or without its etcd. */
function isForNow(status: number): boolean {
  return status === 429 || status >= 500;
}

/** Removes the object of a pod that has ended, as a kubelet does last. Returns false if it may no longer try. */
export async function removePod(client: KubeClient, pod: Pod, mayTry: () => boolean): Promise<boolean> {
  while (mayTry()) {
    const options = { gracePeriodSeconds: 0, preconditions: { uid: pod.metadata.uid } };
    const answer = await client.remove(podPath(pod), options).catch(() => undefined);
    if (answer !== undefined && !isForNow(answer.status)) return true;
    await sleep(200);
  }
  return false;
}
