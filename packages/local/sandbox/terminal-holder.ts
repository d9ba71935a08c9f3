import type { Duplex } from "node:stream";
import {
  KEPT_OUTPUT,
  numberBytes,
  offsetBytes,
  readOffset,
  readSize,
  type Size,
  TERMINAL_WINDOW,
  type TerminalFrame,
  terminalFrame,
  terminalFrameReader,
} from "#relay/terminal-frames.ts";

/** A pseudo-terminal with a program in it. */
export interface HeldTerminal {
  /** Calls `done` once the terminal took the bytes. */
  write(bytes: Buffer, done: () => void): void;
  /** Stops or resumes the output. */
  pause(isPaused: boolean): void;
  resize(size: Size): void;
  hangUp(): void;
}

export interface HolderTimes {
  /** How long a terminal lives without a viewer. */
  readonly unseenMs: number;
  /** How long it is kept without a viewer after its program has ended. */
  readonly endedMs: number;
}

const holderTimes: HolderTimes = { unseenMs: 600_000, endedMs: 60_000 };

export interface Holder {
  output(bytes: Buffer): void;
  exited(exitCode: number): void;
  /** Takes a viewer's stream of frames. It replaces the present viewer. */
  join(stream: Duplex): void;
}

interface Viewer {
  readonly stream: Duplex;
  /** Offsets of the output. */
  sent: number;
  acked: number;
  /** Bytes of input that the terminal has not taken yet. */
  untaken: number;
  /** Bytes that it has taken, and the viewer was not told of. */
  untold: number;
  telling: NodeJS.Timeout | undefined;
  isTold: boolean;
}

/** Keeps the last output of a terminal for viewers who come and go. Calls `onOver` when nothing is left to show. */
export function terminalHolder(terminal: HeldTerminal, onOver: () => void, times = holderTimes): Holder {
  const kept = keptOutput();
  let viewer: Viewer | undefined;
  let exitCode: number | undefined;
  let timer = setTimeout(hangUp, times.unseenMs);
  function hangUp(): void {
    if (exitCode === undefined) terminal.hangUp();
    else onOver();
  }
  const pace = () => terminal.pause(viewer !== undefined && kept.end() - viewer.acked >= TERMINAL_WINDOW);
  const show = () => {
    if (!viewer) return;
    const most = Math.min(kept.end(), viewer.acked + TERMINAL_WINDOW);
    if (most > viewer.sent) viewer.stream.write(terminalFrame("output", kept.slice(viewer.sent, most)));
    viewer.sent = most;
    if (exitCode === undefined || viewer.isTold || viewer.sent < kept.end()) return;
    viewer.isTold = true;
    viewer.stream.write(terminalFrame("exit", numberBytes(exitCode)));
  };
  const attach = (stream: Duplex, content: Buffer) => {
    viewer?.stream.end(terminalFrame("replaced"));
    clearTimeout(timer);
    const start = kept.clamp(readOffset(content, 4));
    viewer = { stream, sent: start, acked: start, untaken: 0, untold: 0, telling: undefined, isTold: false };
    terminal.resize(readSize(content));
    stream.write(terminalFrame("hello", offsetBytes(start)));
    pace();
    show();
  };
  const leave = (stream: Duplex) => {
    if (viewer?.stream !== stream) return;
    const hasSeenAll = viewer.isTold && viewer.acked === kept.end();
    viewer = undefined;
    if (hasSeenAll) return onOver();
    pace();
    timer = setTimeout(hangUp, exitCode === undefined ? times.unseenMs : times.endedMs);
  };
  const type = (from: Viewer, bytes: Buffer) => {
    from.untaken += bytes.length;
    if (from.untaken > TERMINAL_WINDOW) return void from.stream.destroy();
    terminal.write(bytes, () => {
      from.untaken -= bytes.length;
      from.untold += bytes.length;
      if (from.untold >= TERMINAL_WINDOW / 4) tellTaken(from);
      else from.telling ??= setTimeout(tellTaken, TELL_WITHIN_MS, from);
    });
  };
  const take = (stream: Duplex, { kind, content }: TerminalFrame) => {
    if (kind === "attach") return attach(stream, content);
    if (viewer?.stream !== stream) return;
    if (kind === "input") type(viewer, content);
    if (kind === "size") terminal.resize(readSize(content));
    if (kind !== "ack") return;
    viewer.acked = Math.min(viewer.sent, Math.max(viewer.acked, readOffset(content) ?? 0));
    pace();
    show();
  };
  return {
    output: (bytes) => {
      kept.add(bytes);
      pace();
      show();
    },
    exited: (code) => {
      exitCode = code;
      if (viewer) return show();
      clearTimeout(timer);
      // The end of a run kills its programs. Nothing else is left of it then.
      if (CUT_CODES.has(code)) return onOver();
      timer = setTimeout(hangUp, times.endedMs);
    },
    join: (stream) => {
      const read = terminalFrameReader();
      for (const event of ["error", "end"]) stream.on(event, () => stream.destroy());
      stream.once("close", () => leave(stream));
      stream.on("data", (part: Buffer) => {
        try {
          for (const frame of read(part)) take(stream, frame);
        } catch {
          stream.destroy();
        }
      });
    },
  };
}

/** The echo of a key comes first, because the viewer waits for that alone. */
const TELL_WITHIN_MS = 20;

function tellTaken(viewer: Viewer): void {
  clearTimeout(viewer.telling);
  const { stream, untold } = viewer;
  Object.assign(viewer, { untold: 0, telling: undefined });
  if (stream.writable) stream.write(terminalFrame("taken", numberBytes(untold)));
}

/** Exit codes for SIGHUP, SIGKILL and SIGTERM. */
const CUT_CODES: ReadonlySet<number> = new Set([1, 9, 15].map((signal) => 128 + signal));

/** The last output, by its offset. Copies old output only each time that as much as is kept was added. */
function keptOutput() {
  const bytes = Buffer.allocUnsafe(2 * KEPT_OUTPUT);
  let [begin, length, start] = [0, 0, 0];
  const end = () => start + length;
  return {
    end,
    add: (part: Buffer) => {
      const last = part.subarray(-KEPT_OUTPUT);
      const keptLength = Math.min(length, KEPT_OUTPUT - last.length);
      start = end() + part.length - keptLength - last.length;
      begin += length - keptLength;
      if (begin + keptLength + last.length > bytes.length) {
        bytes.copy(bytes, 0, begin, begin + keptLength);
        begin = 0;
      }
      last.copy(bytes, begin + keptLength);
      length = keptLength + last.length;
    },
    slice: (from: number, to: number) => bytes.subarray(begin + from - start, begin + to - start),
    clamp: (offset: number | undefined) => Math.min(end(), Math.max(start, offset ?? 0)),
  };
}
