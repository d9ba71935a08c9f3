import { openSocket } from "#process/supervisor/control-socket.ts";
import {
  openTerminal,
  resizeTerminal,
  type TerminalSize,
  terminalInput,
  type WantedTerminal,
} from "./pseudo-terminal.ts";
import { terminalHolder } from "./terminal-holder.ts";

/**
 * Holds one terminal in its own process, as terminal-host.ts does, for viewers who come and go by a socket in the run's
 * directory. It outlives the stack, as its run may. It ends with its terminal.
 */
process.once("message", (wanted: WantedWebTerminal) => hold(wanted));

export interface WantedWebTerminal extends WantedTerminal {
  /** Directory and name of the socket. */
  readonly directory: string;
  readonly name: string;
}

export interface WebTerminalNews {
  readonly isOpen: true;
}

/** node-pty destroys a paused terminal 200 ms after the end of its program, with the output that is left. */
const LOOK_MS = 50;

function hold(wanted: WantedWebTerminal): void {
  const pty = openTerminal(wanted);
  const input = terminalInput(pty);
  let isPaused = false;
  const pause = (wanted: boolean) => {
    isPaused = wanted;
    if (wanted) pty.pause();
    else pty.resume();
  };
  const terminal = {
    write: (bytes: Buffer, done: () => void) => void input.write(bytes, done),
    pause,
    resize: (size: TerminalSize) => resizeTerminal(pty, size),
    hangUp: () => hangUp(pty.pid),
  };
  const holder = terminalHolder(terminal, () => process.exit());
  // It also keeps this process alive: neither a listening socket nor a paused terminal does.
  setInterval(() => {
    if (isPaused && !isAlive(pty.pid)) pause(false);
  }, LOOK_MS);
  pty.onData((data) => holder.output(data as unknown as Buffer));
  pty.onExit(({ exitCode, signal }) => holder.exited(signal ? 128 + signal : exitCode));
  const socket = openSocket(wanted.directory, wanted.name, (stream) => holder.join(stream));
  process.once("exit", () => socket.close());
  process.send?.({ isOpen: true } satisfies WebTerminalNews, () => process.disconnect());
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** `script`, which names a terminal in a sandbox, ends its command on SIGTERM only. */
function hangUp(pid: number): void {
  for (const signal of ["SIGHUP", "SIGTERM"] as const) {
    try {
      process.kill(-pid, signal);
    } catch {
      return;
    }
  }
}
