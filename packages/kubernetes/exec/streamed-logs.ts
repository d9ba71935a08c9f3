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
  readonly mostBytes?: number;
  readonly silentMs?: number;
}

const MOST_STREAMS = 32;
const IDLE_MS = 10_000;
/** Limit of ends, some hundred bytes each. Without one, lost output may be read twice. */
const MOST_ENDS = 1_000;
/** As long as one copy may take. */
const OPENED_WITHIN_MS = 3_000;
const MOST_BYTES = 4 * 1024 ** 2;
const SILENT_MS = 60_000;

interface Entry {
  readonly opening: Promise<LogStream | undefined>;
  stream: LogStream | undefined;
  readonly idle: NodeJS.Timeout;
  /** Readers that wait for output now. */
  waiting: number;
  /** When another stream may be opened, by a monotonic clock. Infinity while this one opens or is open. */
  againAt: number;
}

export function streamedLogs(place: ClusterContext, options: StreamedLogsOptions): StreamedLogs {
  const { client, mostStreams = MOST_STREAMS, idleMs = IDLE_MS } = options;
  const { openedWithinMs = OPENED_WITHIN_MS, mostBytes = MOST_BYTES, silentMs = SILENT_MS } = options;
  const entries = new Map<string, Entry>();
  const ends = new Map<string, LogEnd>();
  const open = (id: RunId, known: LogEnd | undefined): Entry => {
    const name = nameOfRun(id);
    const end = laterEnd(known, ends.get(name));
    // Readers of a log that cannot be streamed get copies, which report the failure.
    const stream = { client, known: end, openedWithinMs, mostBytes, silentMs };
    const opening = openLogStream(place, id, stream).catch(() => undefined);
    return watchStream(opening, { idleMs, onEnd: (last) => keepEnd(ends, name, last) });
  };
  const findStream = (id: RunId) => {
    const stream = entries.get(nameOfRun(id))?.stream;
    return stream?.isOpen ? stream : undefined;
  };
  const findEntry = (id: RunId, known: LogEnd | undefined): Entry | undefined => {
    for (const [name, { againAt }] of entries) if (againAt <= performance.now()) entries.delete(name);
    const name = nameOfRun(id);
    if (!entries.has(name) && entries.size < mostStreams) entries.set(name, open(id, known));
    return entries.get(name);
  };
  return {
    isRemote: true,
    async read(uid, run, from, known) {
      const entry = findEntry({ uid, run }, known);
      const stream = await entry?.opening;
      if (!stream?.isOpen) return undefined;
      entry?.idle.refresh();
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

/** Closes the stream once it has no reader. */
function watchStream(
  opening: Entry["opening"],
  { idleMs, onEnd }: { readonly idleMs: number; onEnd(end: LogEnd): void },
): Entry {
  const idle = setTimeout(() => entry.waiting === 0 && entry.stream?.close(), idleMs).unref();
  const entry: Entry = { opening, stream: undefined, idle, waiting: 0, againAt: Number.POSITIVE_INFINITY };
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

function keepEnd(ends: Map<string, LogEnd>, name: string, end: LogEnd): void {
  ends.delete(name);
  ends.set(name, end);
  const [oldest] = ends.keys();
  if (ends.size > MOST_ENDS && oldest !== undefined) ends.delete(oldest);
}
