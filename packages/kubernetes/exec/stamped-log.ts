import type { LogEnd, RunLog } from "#core/ports/run-log.ts";

const MOST_BYTES = 1024 * 1024;
const NEWLINE = 10;
/** An RFC 3339 time with nanoseconds and a space has at most 36 bytes. */
const MOST_STAMP = 40;
const stampForm = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}[0-9.]*(?:Z|[+-]\d{2}:\d{2})) /;

/** Reader of a log with `timestamps=true`; keeps the newest MiB without the times. */
export interface StampedLog {
  add(part: Buffer): void;
  /** Returns the log, and whether its first line lacks a time, which only happens for a kubelet's error. */
  end(): { readonly log: RunLog; readonly isUnstamped: boolean };
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
  isUnstamped: boolean | undefined;
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
    isUnstamped: undefined,
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
    end: () => {
      if (state.head && state.head.length > 0) beginLine(state, state.head);
      return { log: getLog(state), isUnstamped: state.isUnstamped === true };
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
  state.isUnstamped ??= time === "";
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

/** A mark that is not found belonged to a rotated file, so at least one byte after it is lost. */
function getLog({ known: knownLogEnd, mark, kept, keptBytes, total, last, begin }: State): RunLog {
  const bytes = Buffer.from(kept.subarray(Math.max(0, keptBytes - MOST_BYTES), keptBytes));
  const first = begin ?? (knownLogEnd && mark ? knownLogEnd.position + 1 : 0);
  const ownMark = last.time === "" ? undefined : `${last.time} ${last.nth} ${total - last.from}`;
  return { start: first + total - bytes.length, bytes, mark: ownMark };
}

function parseMark(mark: string | undefined): Mark | undefined {
  const [time, nth, bytes] = mark?.split(" ") ?? [];
  return time === undefined ? undefined : { time, nth: Number(nth), bytes: Number(bytes) };
}
