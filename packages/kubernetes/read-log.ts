import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiRefused, ApiUnreachable, isNotFound } from "./api-error.ts";
import { inTime } from "./exchange.ts";
import { machineOf, type RunId } from "./names.ts";
import type { Pod } from "./objects.ts";
import { listPods, type Place } from "./read-run.ts";
import type { RecentRuns } from "./recent-runs.ts";
import { MAIN } from "./run-job.ts";

const MOST_BYTES = 1024 * 1024;
const GIVEN_UP_MS = 3_000;

/** Between two tries, in ms: a node that was just restarted finds its containers a moment later. */
const PAUSE_MS = 200;
const TRIES = 2;

/**
 * The newest MiB of what the first machine's command wrote. The kubelet counts lines and no bytes: so many lines are no
 * less, and what comes before the newest MiB is dropped as it comes. Throws where the node does not find the log.
 */
export async function readLog(place: Place, id: RunId, recent: RecentRuns): Promise<string> {
  const signal = AbortSignal.timeout(GIVEN_UP_MS);
  // A run that has a pod for a machine has no other one for it later.
  const first = firstPod(recent.find(id)?.pods ?? []) ?? firstPod(await inTime(listPods(place, id), "GET log", signal));
  if (!first) return "";
  const path = `${place.paths.pods}/${first.metadata.name}/log?container=${MAIN}&tailLines=${MOST_BYTES}`;
  for (let tries = 0; tries < TRIES; tries += 1) {
    if (tries > 0) await sleep(PAUSE_MS);
    const text = await readOnce(place, path, signal);
    if (!isNodeError(text)) return text;
  }
  throw new Error("The node of the container does not find its log");
}

async function readOnce({ client }: Place, path: string, signal: AbortSignal): Promise<string> {
  try {
    return await newestOf(await client.open(path, signal));
  } catch (error) {
    if (isNotFound(error) || isTooEarly(error)) return "";
    throw error;
  }
}

/**
 * Whether this is a kubelet's error and no log. It answers 200 before it looks for the log, and then writes its error as
 * text without a newline (kubelet/kuberuntime, GetContainerLogs; cri-client, ReadLogs).
 */
function isNodeError(text: string): boolean {
  return text.length < MOST_ERROR_BYTES && nodeErrors.some((pattern) => pattern.test(text));
}

const MOST_ERROR_BYTES = 4_096;
const nodeErrors = [
  /^unable to retrieve container logs for [a-z0-9.-]+:\/\/[0-9a-f]+$/,
  /^failed to (try resolving symlinks in path|open log file) "\/var\/log\/pods\/[^"\n]*": [^\n]*[^\n]$/,
];

function firstPod(pods: readonly Pod[]): Pod | undefined {
  return pods
    .filter((pod) => machineOf(pod) === 0)
    .toSorted(byAge)
    .at(-1);
}

/** `container "main" in pod … is waiting to start`. */
function isTooEarly(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 400 && error.code === "BadRequest";
}

function byAge(a: Pod, b: Pod): number {
  return a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp);
}

async function newestOf(response: IncomingMessage): Promise<string> {
  let parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (bytes <= 2 * MOST_BYTES) continue;
      parts = [Buffer.concat(parts).subarray(-MOST_BYTES)];
      bytes = MOST_BYTES;
    }
  } catch {
    throw new ApiUnreachable("GET log", "cut off");
  }
  const newest = Buffer.concat(parts).subarray(-MOST_BYTES);
  return newest.subarray(wholeFrom(newest)).toString();
}

/** Where the first whole character begins. */
function wholeFrom(bytes: Buffer): number {
  const at = bytes.findIndex((byte) => (byte & 0xc0) !== 0x80);
  return Math.max(0, at);
}
