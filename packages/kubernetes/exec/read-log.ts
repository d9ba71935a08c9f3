import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { LogEnd, RunLog } from "#core/ports/run-log.ts";
import { ApiRefused, ApiUnreachable, isNotFound } from "../client/api-error.ts";
import { inTime } from "../client/exchange.ts";
import { getMachine, type RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import { type ClusterContext, listPods } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import type { RecentRuns } from "../watch/run-caches.ts";
import { type StampedLog, stampedLog } from "./stamped-log.ts";
import type { StreamedLogs } from "./streamed-logs.ts";

const MOST_LINES = 1024 * 1024;
const GIVEN_UP_MS = 3_000;

/** Pause between two attempts, ms. A restarted node finds its containers a moment later. */
const PAUSE_MS = 200;
const TRIES = 2;

/**
 * Returns the newest MiB of the first machine's log. The kubelet counts only lines, so this asks for a million lines
 * and drops earlier bytes. Throws if the node does not find the log.
 */
export async function readLog(
  place: ClusterContext,
  id: RunId,
  { recent, known: knownLogEnd, live }: ReadLogOptions,
): Promise<RunLog> {
  const signal = AbortSignal.timeout(GIVEN_UP_MS);
  const path = await findLogPath(place, id, { recent, signal });
  const findKnown = () => laterEnd(knownLogEnd, live?.findEnd(id));
  if (path === undefined) return noLog;
  const { log, isLost } = await readLogAt(place, path, { findKnown, signal, waitsForStream: live?.isOpen(id) });
  // The stream counts from another position than this copy.
  if (isLost) live?.close(id);
  return log;
}

interface ReadLogOptions {
  readonly recent: RecentRuns;
  readonly known: LogEnd | undefined;
  /** Streams that may have read further than the last copy. */
  readonly live?: Pick<StreamedLogs, "findEnd" | "isOpen" | "close"> | undefined;
}

/** Returns the path of the log of the run's first machine, or undefined before it has a pod. */
export async function findLogPath(
  place: ClusterContext,
  id: RunId,
  { recent, signal }: { readonly recent?: RecentRuns; readonly signal: AbortSignal },
): Promise<string | undefined> {
  // A machine of a run never gets another pod, so a known one is enough.
  const known = firstPod(recent?.find(id)?.pods ?? []);
  const first = known ?? firstPod(await inTime(listPods(place, id), "GET log", signal));
  const query = `container=${MAIN}&tailLines=${MOST_LINES}&timestamps=true`;
  return first && `${place.paths.pods}/${first.metadata.name}/log?${query}`;
}

export async function readLogAt(
  place: ClusterContext,
  path: string,
  { findKnown, signal, waitsForStream }: ReadLogAtOptions,
): Promise<ReadLog> {
  for (let tries = 1; ; tries += 1) {
    const log = stampedLog(findKnown());
    const read = await readOnce(place, path, log, signal);
    const isError = log.isUnstamped() && isNodeError(read.log);
    // After a rotation the stream needs a moment to reach the new file.
    const isRefused = isError || (read.isLost && waitsForStream === true);
    if (!isRefused || (tries === TRIES && !isError)) return read;
    if (tries === TRIES) throw new Error("The node does not find the container's log");
    await sleep(PAUSE_MS);
  }
}

interface ReadLogAtOptions {
  /** Returns the end of the last copy, or that of a stream which has read further. */
  findKnown(): LogEnd | undefined;
  readonly signal: AbortSignal;
  readonly waitsForStream?: boolean | undefined;
}

const noLog: RunLog = { start: 0, bytes: new Uint8Array() };

type ReadLog = ReturnType<StampedLog["end"]>;

async function readOnce(
  { client }: ClusterContext,
  path: string,
  into: StampedLog,
  signal: AbortSignal,
): Promise<ReadLog> {
  try {
    return await readInto(into, await client.open(path, signal));
  } catch (error) {
    if (isNotFound(error) || isTooEarly(error)) return { log: noLog, isLost: false };
    throw error;
  }
}

export function laterEnd(one: LogEnd | undefined, two: LogEnd | undefined): LogEnd | undefined {
  if (one === undefined || two === undefined) return one ?? two;
  return one.position > two.position ? one : two;
}

/**
 * Reports whether the text is a kubelet's error. It answers 200 before it opens the log, then writes an error without
 * newline (kubelet/kuberuntime, GetContainerLogs; cri-client, ReadLogs).
 */
function isNodeError({ bytes }: RunLog): boolean {
  const text = new TextDecoder().decode(bytes.subarray(0, MOST_ERROR_BYTES));
  return nodeErrors.some((pattern) => pattern.test(text));
}

const MOST_ERROR_BYTES = 4_096;
const nodeErrors = [
  /^unable to retrieve container logs for [a-z0-9.-]+:\/\/[0-9a-f]+$/,
  /^failed to (try resolving symlinks in path|open log file) "\/var\/log\/pods\/[^"\n]*": [^\n]*[^\n]$/,
];

function firstPod(pods: readonly Pod[]): Pod | undefined {
  return pods
    .filter((pod) => getMachine(pod) === 0)
    .toSorted(byAge)
    .at(-1);
}

/** Matches `container "main" in pod … is waiting to start`. */
function isTooEarly(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 400 && error.code === "BadRequest";
}

function byAge(a: Pod, b: Pod): number {
  return a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp);
}

async function readInto(log: StampedLog, response: IncomingMessage): Promise<ReadLog> {
  try {
    for await (const part of response as AsyncIterable<Buffer>) log.add(part);
  } catch {
    throw new ApiUnreachable("GET log", "cut off");
  }
  return log.end();
}
