import type { LogEnd, RunLog } from "#core/ports/run-log.ts";

const MOST_BYTES = 1024 * 1024;
/**
 * Positions skipped when the end of the last copy was rotated away. A follower may have read further than that copy.
 * Its position then lies before the new output, so the loss is reported.
 */
const SKIPPED = 1024 ** 3;
const NEWLINE = 10;
/** An RFC 3339 time with nanoseconds and a space has at most 36 bytes. */
const MOST_STAMP = 40;
const stampForm = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[0-9.]*(?:Z|[+-]\d{2}:\d{2})) /;

/** Reader of a log with `timestamps=true`; keeps the newest MiB without the times. */
export interface StampedLog {
  add(part: Buffer): void;
  /** Returns the log so far. */
  read(): RunLog;
  /** Returns the end of the log so far, or undefined while the end of the last copy is not found. */
  findEnd(): LogEnd | undefined;
  /** Reports whether a line lacks a time. Such a line is an error of the kubelet. */
  isUnstamped(): boolean;
  /** Returns the complete log, and whether it lacks the end of the last copy. */
  end(): { readonly log: RunLog; readonly isLost: boolean };
}

interface State {
  readonly known: LogEnd | undefined;
  readonly mark: Mark | undefined;
  /** Newest bytes in one buffer: a log of empty lines would be a million small ones. */
  readonly kept: Buffer;
  keptBytes: number;
  /** Bytes without the times. */
  total: number;
  /** Beginning of a line whose time may be incomplete; undefined inside a line. */
  head: Buffer | undefined;
  isUnstamped: boolean;
  last: { readonly time: string; readonly nth: number; readonly from: number };
  /** Position of the first byte, once the mark was found. */
  begin: number | undefined;
}

/** Time of the last line, its number among the lines of that time, and its length so far. */
interface Mark {
  readonly time: string;
  readonly nth: number;
  readonly bytes: number;
}

/** Reads a log after `known`. The kubelet rotates at 10 MiB without positions, so the last line's time is the mark. */
export function stampedLog(knownLogEnd: LogEnd | undefined): StampedLog {
  const state: State = {
    known: knownLogEnd,
    mark: parseMark(knownLogEnd?.mark),
    kept: Buffer.allocUnsafe(2 * MOST_BYTES),
    keptBytes: 0,
    total: 0,
    head: Buffer.alloc(0),
    isUnstamped: false,
    last: { time: "", nth: 0, from: 0 },
    begin: undefined,
  };
  return {
    add: (part) => {
      for (let from = 0; from < part.length; ) {
        const newline = part.indexOf(NEWLINE, from);
        const to = newline < 0 ? part.length : newline + 1;
        take(state, part.subarray(from, to));
        if (newline >= 0) state.head = Buffer.alloc(0);
        from = to;
      }
    },
    read: () => getLog(state),
    findEnd: () => (isLost(state) ? undefined : { position: getBegin(state) + state.total, mark: getMark(state) }),
    isUnstamped: () => state.isUnstamped,
    end: () => {
      if (state.head && state.head.length > 0) beginLine(state, state.head);
      return { log: getLog(state), isLost: isLost(state) && state.total > 0 };
    },
  };
}

function take(state: State, bytes: Buffer): void {
  if (state.head === undefined) {
    keep(state, bytes);
    return;
  }
  const line = state.head.length === 0 ? bytes : Buffer.concat([state.head, bytes]);
  const isWhole = line.length >= MOST_STAMP || line.at(-1) === NEWLINE;
  state.head = isWhole ? undefined : line;
  if (isWhole) beginLine(state, line);
}

function beginLine(state: State, line: Buffer): void {
  const { known: knownLogEnd, mark, last, total } = state;
  const time = stampForm.exec(line.subarray(0, MOST_STAMP).toString("latin1"))?.[1] ?? "";
  state.isUnstamped ||= time === "";
  state.last = { time, nth: time === last.time ? last.nth + 1 : 1, from: total };
  const isMarked = mark?.time === time && mark.nth === state.last.nth;
  if (knownLogEnd && isMarked) state.begin = knownLogEnd.position - mark.bytes - total;
  keep(state, line.subarray(time === "" ? 0 : time.length + 1));
}

function keep(state: State, bytes: Buffer): void {
  const { kept } = state;
  state.total += bytes.length;
  const newest = bytes.subarray(-MOST_BYTES);
  if (state.keptBytes + newest.length > kept.length) {
    kept.copyWithin(0, state.keptBytes - MOST_BYTES, state.keptBytes);
    state.keptBytes = MOST_BYTES;
  }
  newest.copy(kept, state.keptBytes);
  state.keptBytes += newest.length;
}

function getLog(state: State): RunLog {
  const { kept, keptBytes, total } = state;
  const bytes = Buffer.from(kept.subarray(Math.max(0, keptBytes - MOST_BYTES), keptBytes));
  return { start: getBegin(state) + total - bytes.length, bytes, mark: getMark(state) };
}

function isLost({ known: knownLogEnd, mark, begin }: State): boolean {
  return knownLogEnd !== undefined && mark !== undefined && begin === undefined;
}

/** Returns the position of the first byte. */
function getBegin(state: State): number {
  if (isLost(state)) return (state.known?.position ?? 0) + SKIPPED;
  return state.begin ?? 0;
}

function getMark({ last, total }: State): string | undefined {
  return last.time === "" ? undefined : `${last.time} ${last.nth} ${total - last.from}`;
}

function parseMark(mark: string | undefined): Mark | undefined {
  const [time, nth, bytes] = mark?.split(" ") ?? [];
  return time === undefined ? undefined : { time, nth: Number(nth), bytes: Number(bytes) };
}
