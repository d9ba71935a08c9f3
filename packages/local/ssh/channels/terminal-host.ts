import { Socket } from "node:net";
import { type IPty, spawn } from "@lydell/node-pty";
import { terminalInput } from "./terminal-input.ts";

/**
 * Holds one terminal in its own process (ssh-terminal.ts), typed into at its standard input and shown at its standard
 * output.
 * node-pty leaks the terminal's master to every program started later. In the stack those belong to other users, who
 * could read and type into it. This process ends when the stack closes the IPC channel, and the kernel then hangs up
 * the terminal.
 */
process.once("disconnect", () => process.exit());
process.once("message", (wanted: WantedTerminal) => hold(wanted));

export interface WantedTerminal extends TerminalSize {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface TerminalSize {
  readonly columns: number;
  readonly lines: number;
}

export type TerminalNews = { readonly pid: number } | { readonly exitCode: number };

function hold({ file, args, cwd, env, columns, lines }: WantedTerminal): void {
  const size = { cols: columns, rows: lines };
  const pty = spawn(file, [...args], {
    ...size,
    name: env.TERM ?? "dumb",
    ...(cwd !== undefined && { cwd }),
    env: { ...env },
    encoding: null,
  });
  const shown = new Socket({ fd: 1, readable: false, writable: true });
  const typed = new Socket({ fd: 0, readable: true, writable: false });
  for (const stream of [shown, typed]) stream.on("error", () => undefined);
  pty.onData((data) => {
    if (!shown.write(data)) pty.pause();
  });
  shown.on("drain", () => pty.resume());
  typed.pipe(terminalInput(pty));
  process.on("message", (next: TerminalSize) => resize(pty, next));
  pty.onExit(({ exitCode, signal }) => {
    const news: TerminalNews = { exitCode: signal ? 128 + signal : exitCode };
    shown.end(() => process.send?.(news, () => process.exit()));
  });
  process.send?.({ pid: pty.pid } satisfies TerminalNews);
}

/** Ignores errors: the terminal closes some time before its exit code is known, and a closed one has no size. */
function resize(pty: IPty, { columns, lines }: TerminalSize): void {
  try {
    pty.resize(columns, lines);
  } catch {
    return;
  }
}
