import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "#process/fixture.ts";
import {
  offsetBytes,
  readOffset,
  sizeBytes,
  type TerminalFrame,
  type TerminalFrameKind,
  terminalFrame,
  terminalFrameReader,
} from "#relay/terminal-frames.ts";
import { toolsPath } from "../../../scripts/images/tools-programs.ts";

const program = join(await toolsPath(process.env), "holder");

export interface HolderFixture {
  /** Folder of the sockets. */
  readonly terminals: string;
  /** Starts a terminal with this command line. */
  open(id: string, command: string, options?: ViewOptions): HolderView;
  join(id: string, options?: ViewOptions): HolderView;
  /** Returns the processes that hold a terminal. */
  list(): number[];
  close(): Promise<void>;
}

interface ViewOptions {
  readonly flags?: readonly string[];
  readonly offset?: number;
  /** Whether output is acknowledged. */
  readonly acks?: boolean;
  /** Whether the first frame is sent. */
  readonly attaches?: boolean;
}

/** A gateway's end of a terminal. */
export interface HolderView {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  /** All output of this connection. */
  output(): string;
  /** Offset of the next byte of output. */
  offset(): number;
  find(kind: TerminalFrameKind): TerminalFrame | undefined;
  send(kind: TerminalFrameKind, content?: Buffer | string): void;
  sendRaw(bytes: Buffer): void;
  /** Ends the process group, as the gateway does with a session that it hangs up. */
  hangUp(): void;
  until(isEnough: () => unknown): Promise<void>;
}

/** A folder like that of a container's tools. Paths of sockets have 107 bytes at most (unix(7)). */
export function openHolders(): HolderFixture {
  const folder = mkdtempSync("/tmp/berth-holder-");
  const file = join(folder, "holder");
  copyFileSync(program, file);
  const children = new Set<ChildProcess>();
  const start = (words: readonly string[], options: ViewOptions = {}) => {
    const child = spawn(file, words, { cwd: folder, stdio: ["pipe", "pipe", "ignore"], detached: true });
    children.add(child);
    return view(child, options);
  };
  const list = () =>
    readdirSync("/proc")
      .map(Number)
      .filter((pid) => getWords(pid).startsWith(`${file}\0hold\0`));
  return {
    terminals: join(folder, "terminals"),
    open: (id, command, options = {}) =>
      start(["open", ...(options.flags ?? []), id, "80", "24", "/bin/sh", "-c", command], options),
    join: (id, options) => start(["join", id], options),
    list,
    close: async () => {
      for (const child of children) child.kill("SIGKILL");
      for (const pid of list()) process.kill(pid, "SIGKILL");
      await eventually(list, (left) => left.length === 0);
      rmSync(folder, { recursive: true });
    },
  };
}

function getWords(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

const GREETING = "open\n";

function view(child: ReturnType<typeof spawn>, { offset, acks = true, attaches = true }: ViewOptions): HolderView {
  const { stdin, stdout, pid } = child;
  if (!stdin || !stdout || !pid) throw new Error("The program has not started");
  const read = terminalFrameReader();
  const frames: TerminalFrame[] = [];
  const parts: Buffer[] = [];
  let greeted = 0;
  let end = 0;
  stdin.on("error", () => undefined);
  const send: HolderView["send"] = (kind, content = "") => void stdin.write(terminalFrame(kind, Buffer.from(content)));
  const take = (frame: TerminalFrame) => {
    if (frame.kind === "hello") end = readOffset(frame.content) ?? 0;
    if (frame.kind !== "output") return void frames.push(frame);
    parts.push(frame.content);
    end += frame.content.length;
    if (acks) send("ack", offsetBytes(end));
  };
  stdout.on("data", (part: Buffer) => {
    const skipped = Math.min(part.length, GREETING.length - greeted);
    greeted += skipped;
    for (const frame of read(part.subarray(skipped))) take(frame);
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  if (attaches) send("attach", Buffer.concat([sizeBytes({ columns: 80, lines: 24 }), offsetBytes(offset)]));
  return {
    child,
    ended,
    output: () => Buffer.concat(parts).toString(),
    offset: () => end,
    find: (kind) => frames.find((frame) => frame.kind === kind),
    send,
    sendRaw: (bytes) => void stdin.write(bytes),
    hangUp: () => void process.kill(-pid, "SIGHUP"),
    until: async (isEnough) => {
      while (!isEnough()) {
        const [code] = await Promise.race([once(stdout, "data").then(() => []), ended.then((code) => [code])]);
        if (code !== undefined && !isEnough())
          throw new Error(`Ended with ${code} after: ${parts.join("").slice(-500)}`);
      }
    },
  };
}
