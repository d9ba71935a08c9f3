import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { spawn } from "@lydell/node-pty";
import xterm from "@xterm/headless";

export interface TerminalFrame {
  readonly atMs: number;
  readonly lines: readonly string[];
}

export interface TerminalRecording {
  type(text: string): void;
  /** Resolves once the screen's text, without trailing blanks, matches. */
  shows(text: RegExp): Promise<void>;
  frames(): readonly TerminalFrame[];
}

interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** Bounds of the time between two frames: long enough to read, short enough to watch. */
const gapMs = { shortest: 350, longest: 2200 };
const program = fileURLToPath(new URL("../../packages/cli/berth.mjs", import.meta.url));

/** Opens bash in a terminal with `berth` on the PATH, and records every change of the screen. */
export function openTerminalRecording(
  { columns, rows }: TerminalSize,
  env: Readonly<Record<string, string>>,
): TerminalRecording {
  const screen = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
  const shell = spawn("bash", ["--norc", "--noprofile"], {
    cols: columns,
    rows,
    env: { ...process.env, ...env, PATH: `${commandDirectory()}:${process.env.PATH}`, PS1: "$ ", TERM: "xterm" },
  });
  const frames: TerminalFrame[] = [];
  const watchers = new Set<() => void>();
  const startedAt = performance.now();
  shell.onData((data) => {
    screen.write(data, () => {
      frames.push({ atMs: performance.now() - startedAt, lines: linesOn(screen) });
      for (const poll of watchers) poll();
    });
  });
  return {
    type: (text) => shell.write(text),
    shows: (text) =>
      new Promise((resolve) => {
        const poll = () => {
          if (!text.test(`${frames.at(-1)?.lines.join("\n")}`)) return;
          watchers.delete(poll);
          resolve();
        };
        watchers.add(poll);
        poll();
      }),
    frames: () => withWatchableGaps(frames),
  };
}

function commandDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "berth-bin-"));
  writeFileSync(join(directory, "berth"), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, { mode: 0o755 });
  return directory;
}

function linesOn(screen: InstanceType<typeof xterm.Terminal>): string[] {
  const { active } = screen.buffer;
  const lines = Array.from(
    { length: active.length },
    (_, at) => active.getLine(at)?.translateToString(true).trimEnd() ?? "",
  );
  return lines.slice(0, lines.findLastIndex((line) => line !== "") + 1);
}

function withWatchableGaps(frames: readonly TerminalFrame[]): TerminalFrame[] {
  let atMs = 0;
  return frames.map((frame, at) => {
    const gap = frame.atMs - (frames[at - 1]?.atMs ?? 0);
    atMs += Math.min(Math.max(gap, gapMs.shortest), gapMs.longest);
    return { atMs, lines: frame.lines };
  });
}
