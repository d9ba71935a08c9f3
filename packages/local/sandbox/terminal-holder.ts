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
    viewer = { stream, sent: start, acked: start, untaken: 0, isTold: false };
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
      if (from.stream.writable) from.stream.write(terminalFrame("taken", numberBytes(bytes.length)));
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

/** Exit codes for SIGHUP, SIGKILL and SIGTERM. */
const CUT_CODES: ReadonlySet<number> = new Set([1, 9, 15].map((signal) => 128 + signal));

/** The last output, by its offset. */
function keptOutput() {
  let [bytes, start] = [Buffer.alloc(0), 0];
  const end = () => start + bytes.length;
  return {
    end,
    add: (part: Buffer) => {
      const all = Buffer.concat([bytes, part]);
      bytes = all.subarray(Math.max(0, all.length - KEPT_OUTPUT));
      start += all.length - bytes.length;
    },
    slice: (from: number, to: number) => bytes.subarray(from - start, to - start),
    clamp: (offset: number | undefined) => Math.min(end(), Math.max(start, offset ?? 0)),
  };
}
