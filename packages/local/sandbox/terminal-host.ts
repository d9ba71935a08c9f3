import { Socket } from "node:net";
import {
  openTerminal,
  resizeTerminal,
  type TerminalSize,
  terminalInput,
  type WantedTerminal,
} from "./pseudo-terminal.ts";

/**
 * Holds one terminal in its own process (ssh-terminal.ts), typed into at its standard input and shown at its standard
 * output.
 * node-pty leaks the terminal's master to every program started later. The stack starts programs of other users, who
 * could read and type into it. This process ends when the stack closes the IPC channel, and the kernel then hangs up
 * the terminal.
 */
process.once("disconnect", () => process.exit());
process.once("message", (wanted: WantedTerminal) => hold(wanted));

export type TerminalNews = { readonly pid: number } | { readonly exitCode: number };

function hold(wanted: WantedTerminal): void {
  const pty = openTerminal(wanted);
  const shown = new Socket({ fd: 1, readable: false, writable: true });
  const typed = new Socket({ fd: 0, readable: true, writable: false });
  for (const stream of [shown, typed]) stream.on("error", () => undefined);
  pty.onData((data) => {
    if (!shown.write(data)) pty.pause();
  });
  shown.on("drain", () => pty.resume());
  typed.pipe(terminalInput(pty));
  process.on("message", (next: TerminalSize) => resizeTerminal(pty, next));
  pty.onExit(({ exitCode, signal }) => {
    const news: TerminalNews = { exitCode: signal ? 128 + signal : exitCode };
    shown.end(() => process.send?.(news, () => process.exit()));
  });
  process.send?.({ pid: pty.pid } satisfies TerminalNews);
}
