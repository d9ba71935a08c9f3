import { EventEmitter, once } from "node:events";
import type { IncomingMessage } from "node:http";
import type { LogEnd, RunLog } from "#core/ports/run-log.ts";
import type { ApiClient } from "../client/api-client.ts";
import type { RunId } from "../names.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { findLogPath, readLogAt } from "./read-log.ts";
import { type StampedLog, stampedLog } from "./stamped-log.ts";

/** Log that an API server sends while it is printed. */
export interface LogStream {
  readonly isOpen: boolean;
  /** How long the next stream of this log must wait once this one has closed. */
  readonly pauseMs: number;
  readonly end: LogEnd;
  /** Returns the newest MiB. */
  read(): RunLog;
  /** Resolves at the next output, when the stream closes, or when the signal aborts. */
  nextChange(signal: AbortSignal): Promise<void>;
  readonly closed: Promise<void>;
  close(): void;
}

export const PAUSE_MS = 2_000;

/** After a stream that was too slow for its log. Copies cost the same at any speed. */
const LONG_PAUSE_MS = 30_000;

export interface LogStreamOptions {
  readonly client: Pick<ApiClient, "open">;
  /** End of the last copy. */
  readonly known: LogEnd | undefined;
  /** Limit for reading the log, and for the stream to get as far. */
  readonly openedWithinMs: number;
  /** Limit per second, times included. A log that grows faster is read from copies. */
  readonly mostBytes: number;
  /** Silence after which the connection may be broken. */
  readonly silentMs: number;
}

/**
 * Reads a log and then opens a stream of it. The stream repeats the log from its beginning, so `read` returns the log
 * until the stream has reached its end. Returns undefined if the run has no pod. Throws if the log cannot be read.
 */
export async function openLogStream(
  place: ClusterContext,
  id: RunId,
  { client, known, openedWithinMs, mostBytes, silentMs }: LogStreamOptions,
): Promise<LogStream | undefined> {
  const signal = AbortSignal.timeout(openedWithinMs);
  const path = await findLogPath(place, id, { signal });
  if (path === undefined) return undefined;
  const { log } = await readLogAt(place, path, { findKnown: () => known, signal });
  const { start, bytes, mark } = log;
  const firstEnd = bytes.length > 0 ? { position: start + bytes.length, mark } : known;
  // A restarted kubelet has no log until it has found its containers.
  const first = bytes.length === 0 && known ? { ...log, start: known.position } : log;
  const closing = new AbortController();
  const onLate = () => {
    state.pauseMs = LONG_PAUSE_MS;
    closing.abort();
  };
  const state: State = {
    first,
    log: stampedLog(firstEnd),
    isFlooded: floodGuard(mostBytes),
    end: firstEnd ?? { position: 0 },
    isCaughtUp: false,
    lateness: setTimeout(onLate, openedWithinMs).unref(),
    pauseMs: PAUSE_MS,
    changes: new EventEmitter().setMaxListeners(0),
  };
  const response = await client.open(`${path}&follow=true`, closing.signal);
  const closed = follow(state, response, silentMs).finally(() => closing.abort());
  return streamOf(state, closing, closed);
}

interface State {
  readonly first: RunLog;
  readonly log: StampedLog;
  readonly isFlooded: ReturnType<typeof floodGuard>;
  end: LogEnd;
  /** Whether the stream has reached the end of `first`. */
  isCaughtUp: boolean;
  /** Closes a stream that does not get there. */
  readonly lateness: NodeJS.Timeout;
  pauseMs: number;
  readonly changes: EventEmitter;
}

function streamOf(state: State, closing: AbortController, closed: Promise<void>): LogStream {
  return {
    get isOpen() {
      return !closing.signal.aborted;
    },
    get pauseMs() {
      return state.pauseMs;
    },
    get end() {
      return state.end;
    },
    read: () => (state.isCaughtUp ? state.log.read() : state.first),
    async nextChange(signal) {
      const isOver = AbortSignal.any([signal, closing.signal]);
      await once(state.changes, "change", { signal: isOver }).catch(() => undefined);
    },
    closed,
    close() {
      state.pauseMs = 0;
      closing.abort();
    },
  };
}

/** Reads the stream to its end. */
async function follow(state: State, response: IncomingMessage, silentMs: number): Promise<void> {
  response.setTimeout(silentMs, () => {
    // Most silent logs have a sound connection, so the next reader opens a stream at once and needs no copies.
    state.pauseMs = 0;
    response.destroy();
  });
  try {
    passOn(state);
    for await (const part of response as AsyncIterable<Buffer>) {
      state.log.add(part);
      if (state.log.isUnstamped()) break;
      if (state.isCaughtUp && state.isFlooded(part.length)) {
        state.pauseMs = LONG_PAUSE_MS;
        return;
      }
      passOn(state);
    }
  } catch {
    // A stream that was cut ends like any other.
  } finally {
    clearTimeout(state.lateness);
  }
}

function passOn(state: State): void {
  const end = state.log.findEnd();
  if (end === undefined || end.position < state.end.position) return;
  state.end = end;
  state.isCaughtUp = true;
  clearTimeout(state.lateness);
  state.changes.emit("change");
}

function floodGuard(mostBytes: number): (bytes: number) => boolean {
  let [since, received] = [performance.now(), 0];
  return (bytes) => {
    const now = performance.now();
    if (now - since > 1_000) [since, received] = [now, 0];
    received += bytes;
    return received > mostBytes;
  };
}
