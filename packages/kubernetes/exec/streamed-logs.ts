import type { LiveLogs, LogEnd } from "#core/ports/run-log.ts";
import type { ApiClient } from "../client/api-client.ts";
import { nameOfRun, type RunId } from "../names.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { type LogStream, openLogStream, PAUSE_MS } from "./log-stream.ts";
import { laterEnd } from "./read-log.ts";

/** Logs of runs that readers follow, with one stream for all readers of a run. */
export interface StreamedLogs extends LiveLogs {
  /** Returns how far streams of this process have read the log. A copy continues at that position. */
  findEnd(id: RunId): LogEnd | undefined;
  isOpen(id: RunId): boolean;
  close(id: RunId): void;
}

export interface StreamedLogsOptions {
  /** Client for the streams. Each takes one of its connections until it closes. */
  readonly client: Pick<ApiClient, "open">;
  /** Limit of streams. Each keeps up to 3 MiB of its log. */
  readonly mostStreams?: number;
  /** Time without a reader after which a stream closes. */
  readonly idleMs?: number;
  readonly openedWithinMs?: number;
  /** Time that readers wait for a stream that is being opened. After that they get copies until it is open. */
  readonly answeredWithinMs?: number;
  readonly mostBytes?: number;
  readonly silentMs?: number;
}

const MOST_STREAMS = 32;
const IDLE_MS = 10_000;
/** Limit of ends, some hundred bytes each. Without one, lost output may be read twice. */
const MOST_ENDS = 1_000;
/** As long as one copy may take. */
const OPENED_WITHIN_MS = 3_000;
const ANSWERED_WITHIN_MS = 1_000;
const MOST_BYTES = 4 * 1024 ** 2;
const SILENT_MS = 60_000;

interface Entry {
  /** The stream, if it was open in time for the reader that opened it. */
  readonly firstAnswer: Promise<LogStream | undefined>;
  stream: LogStream | undefined;
  readonly idle: NodeJS.Timeout;
  /** Readers that wait for output now. */
  waiting: number;
  /** Time of the last read, by a monotonic clock. */
  readAt: number;
  /** When another stream may be opened, by a monotonic clock. Infinity while this one opens or is open. */
  againAt: number;
}

export function streamedLogs(place: ClusterContext, options: StreamedLogsOptions): StreamedLogs {
  const { client, mostStreams = MOST_STREAMS, idleMs = IDLE_MS } = options;
  const { openedWithinMs = OPENED_WITHIN_MS, answeredWithinMs = ANSWERED_WITHIN_MS } = options;
  const { mostBytes = MOST_BYTES, silentMs = SILENT_MS } = options;
  const entries = new Map<string, Entry>();
  const ends = new Map<string, LogEnd>();
  const open = (id: RunId, known: LogEnd | undefined): Entry => {
    const name = nameOfRun(id);
    const end = laterEnd(known, ends.get(name));
    // Readers of a log that cannot be streamed get copies, which report the failure.
    const stream = { client, known: end, openedWithinMs, mostBytes, silentMs };
    const opening = openLogStream(place, id, stream).catch(() => undefined);
    return watchStream(opening, { idleMs, answeredWithinMs, onEnd: (last) => keepEnd(ends, name, last) });
  };
  const findStream = (id: RunId) => {
    const stream = entries.get(nameOfRun(id))?.stream;
    return stream?.isOpen ? stream : undefined;
  };
  const findEntry = (id: RunId, known: LogEnd | undefined): Entry | undefined => {
    for (const [name, { againAt }] of entries) if (againAt <= performance.now()) entries.delete(name);
    const name = nameOfRun(id);
    if (entries.has(name)) return entries.get(name);
    if (countStreams(entries) >= mostStreams) closeUnread(entries);
    if (countStreams(entries) < mostStreams) entries.set(name, open(id, known));
    return entries.get(name);
  };
  return {
    isRemote: true,
    async read(uid, run, from, known) {
      const entry = findEntry({ uid, run }, known);
      const stream = entry?.stream ?? (await entry?.firstAnswer);
      if (!entry || !stream?.isOpen) return undefined;
      entry.idle.refresh();
      entry.readAt = performance.now();
      const { start, bytes } = stream.read();
      const skipped = Math.min(Math.max(0, from - start), bytes.length);
      return { start: start + skipped, bytes: bytes.subarray(skipped) };
    },
    async waitFor(uid, run, position, ms, signal) {
      const isOver = AbortSignal.any([AbortSignal.timeout(Math.ceil(ms)), ...(signal ? [signal] : [])]);
      const entry = entries.get(nameOfRun({ uid, run }));
      const stream = entry?.stream;
      if (!entry || !stream) return;
      entry.waiting += 1;
      while (stream.isOpen && !isOver.aborted && stream.end.position <= position) await stream.nextChange(isOver);
      entry.waiting -= 1;
      // Refreshing the timer of a closed stream would start it again.
      if (stream.isOpen) entry.idle.refresh();
    },
    findEnd: (id) => findStream(id)?.end ?? ends.get(nameOfRun(id)),
    isOpen: (id) => findStream(id) !== undefined,
    close: (id) => findStream(id)?.close(),
  };
}

/** Counts the streams that are open or being opened. */
function countStreams(entries: ReadonlyMap<string, Entry>): number {
  return [...entries.values()].filter(({ againAt }) => againAt === Number.POSITIVE_INFINITY).length;
}

/**
 * Closes the stream that was read longest ago, unless a reader waits for its output. One read of a log takes a stream
 * until it is idle, so reads of many logs would otherwise keep all streams from followers.
 */
function closeUnread(entries: Map<string, Entry>): void {
  const unread = [...entries].filter(([, { stream, waiting }]) => stream?.isOpen && waiting === 0);
  const [oldest] = unread.toSorted(([, left], [, right]) => left.readAt - right.readAt);
  if (!oldest) return;
  const [name, { stream }] = oldest;
  entries.delete(name);
  stream?.close();
}

interface WatchOptions {
  readonly idleMs: number;
  readonly answeredWithinMs: number;
  onEnd(end: LogEnd): void;
}

/** Closes the stream once it has no reader. */
function watchStream(
  opening: Promise<LogStream | undefined>,
  { idleMs, answeredWithinMs, onEnd }: WatchOptions,
): Entry {
  const idle = setTimeout(() => entry.waiting === 0 && entry.stream?.close(), idleMs).unref();
  const firstAnswer = settledWithin(opening, answeredWithinMs);
  const [stream, againAt] = [undefined, Number.POSITIVE_INFINITY];
  const entry: Entry = { firstAnswer, stream, idle, waiting: 0, readAt: performance.now(), againAt };
  const watch = async () => {
    entry.stream = await opening;
    idle.refresh();
    await entry.stream?.closed;
    clearTimeout(idle);
    if (entry.stream) onEnd(entry.stream.end);
    entry.againAt = performance.now() + (entry.stream?.pauseMs ?? PAUSE_MS);
  };
  void watch();
  return entry;
}

/** Resolves with undefined if the promise takes longer. */
function settledWithin<Value>(promise: Promise<Value>, ms: number): Promise<Value | undefined> {
  const { promise: lateness, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, ms, undefined).unref();
  return Promise.race([promise, lateness]).finally(() => clearTimeout(timer));
}

function keepEnd(ends: Map<string, LogEnd>, name: string, end: LogEnd): void {
  ends.delete(name);
  ends.set(name, end);
  const [oldest] = ends.keys();
  if (ends.size > MOST_ENDS && oldest !== undefined) ends.delete(oldest);
}
