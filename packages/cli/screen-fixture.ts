import { spawn } from "@lydell/node-pty";
import headless from "@xterm/headless";
import { type CliFixture, programFor } from "./cli-fixture.ts";

/** The command line on a terminal, as a person sees it, for tests. */
export interface Screen {
  /** Types keys. */
  press(keys: string): void;
  /** Resolves once the terminal shows a text. */
  shows(text: string | RegExp): Promise<void>;
  /** All lines, those that scrolled away included. A line that the terminal had to wrap is marked. */
  text(): string;
  /** Everything that the command wrote, escape sequences included. */
  received(): string;
  /** Whether the cursor can be seen. */
  hasCursor(): boolean;
  kill(signal: string): void;
  readonly ended: Promise<number>;
}

interface ScreenOptions {
  readonly columns?: number;
  readonly rows?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Prints the settings of the terminal after the command. */
  readonly thenSettings?: boolean;
}

export const keys = { enter: "\r", down: "\u001B[B", escape: "\u001B", interrupt: "\u0003" } as const;

const opened = new Set<{ kill(): void }>();

/** Ends the commands that a failed test left waiting for a key. */
export function closeScreens(): void {
  for (const { kill } of opened) kill();
}

/** Starts a command on a terminal. */
export function openScreen(cli: CliFixture, options: ScreenOptions, ...words: string[]): Screen {
  const { columns = 80, rows = 40, cwd = cli.state } = options;
  const env = { ...cli.environment, TERM: "xterm-256color", ...options.env };
  const line = [process.execPath, programFor(words), ...words];
  // Ctrl-C is for the command. The shell goes on.
  const script = 'trap : INT; "$@"; code=$?; stty -a; exit $code';
  const [file = "", ...rest] = options.thenSettings ? ["sh", "-c", script, "sh", ...line] : line;
  const pty = spawn(file, rest, { cols: columns, rows, cwd, env });
  const terminal = new headless.Terminal({ cols: columns, rows, scrollback: 1000, allowProposedApi: true });
  const watchers = new Set<() => void>();
  let received = "";
  pty.onData((part) => {
    received += part;
    terminal.write(part, () => {
      for (const poll of watchers) poll();
    });
  });
  const entry = { kill: () => pty.kill("SIGKILL") };
  opened.add(entry);
  const ended = new Promise<number>((resolve) => {
    pty.onExit(({ exitCode }) => {
      opened.delete(entry);
      // The last output may still be on its way into the terminal.
      terminal.write("", () => resolve(exitCode));
    });
  });
  const text = () => listLines(terminal).join("\n").trimEnd();
  return {
    press: (typed) => pty.write(typed),
    kill: (signal) => pty.kill(signal),
    text,
    received: () => received,
    hasCursor: () => received.lastIndexOf("\u001B[?25l") <= received.lastIndexOf("\u001B[?25h"),
    ended,
    shows: (wanted) =>
      new Promise<void>((resolve, reject) => {
        const poll = () => {
          const shown = text();
          if (typeof wanted === "string" ? !shown.includes(wanted) : !wanted.test(shown)) return;
          watchers.delete(poll);
          resolve();
        };
        watchers.add(poll);
        poll();
        void ended.then((code) =>
          reject(new Error(`The command ended with ${code} before it showed ${wanted}:\n${text()}`)),
        );
      }),
  };
}

function listLines({ buffer: { active } }: InstanceType<typeof headless.Terminal>): string[] {
  return Array.from({ length: active.length }, (_, at) => {
    const line = active.getLine(at);
    return `${line?.isWrapped ? "«wrapped» " : ""}${line?.translateToString(true) ?? ""}`;
  });
}

/**
 * Replaces what differs between two runs, without a change of any column: ids become `xxxxxxxx`, digits of times and of
 * short spans `0`. Spans of seconds are as wide as the seconds that a run took, so the spaces behind them go too.
 */
export function withoutVolatile(text: string): string {
  return text
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, (id) => id.replace(/\w/g, "x"))
    .replace(/\b[0-9a-f]{32}\b/g, "x".repeat(32))
    .replace(/\b(?=[a-f]*\d)[0-9a-f]{8}\b/g, "xxxxxxxx")
    .replace(/\b\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?Z?)?/g, (time) => time.replace(/\d/g, "0"))
    .replace(/\b\d\d:\d\d(:\d\d)?\b/g, (time) => time.replace(/\d/g, "0"))
    .replace(/\b\d+ (?:s|min)\b {2,}/g, "0 s  ")
    .replace(/(?<=starts in (about )?)\d+ (h|min|s)( \d+ min)?/g, "0 h")
    .replace(/\b\d+ (s|min) ago\b/g, "0 s ago")
    .replace(/\b\d+ (s|min)\b/g, "0 $1")
    .replace(/127\.0\.0\.1:\d+/g, "127.0.0.1:00000");
}
