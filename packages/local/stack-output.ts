import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import { jsonLog } from "#aws/log.ts";
import { type Config, type Environment, readConfig } from "#aws/settings/config.ts";
import type { Log } from "#core/ports/log.ts";
import { printableText } from "#core/text/printable-text.ts";
import { choiceLine, type Fate, startLines, stopLine } from "./activity/banner.ts";
import { textLog } from "./activity/text-log.ts";
import type { Stack } from "./stack.ts";
import type { StackOptions } from "./stack-start.ts";

export interface StackOutput extends Required<Pick<StackOptions, "log">>, Pick<StackOptions, "onNews"> {
  /** `link` logs a browser in as the local user. No log gets it. */
  started(stack: Stack, usualHome: string, link?: string): void;
  stopping(names: readonly string[] | undefined, fate?: Fate): void;
  asking(names: readonly string[] | undefined, seconds: number): void;
  stopped(home: string, fate?: Fate): void;
}

export interface Outputs {
  readonly lines: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">;
  readonly notes: Pick<NodeJS.WriteStream, "write">;
}

/**
 * Returns plain lines for a terminal and JSON otherwise; LOG_FORMAT and LOG_LEVEL override that. Throws for bad
 * settings.
 */
export function stackOutput(environment: Environment, { lines, notes }: Outputs): StackOutput {
  const { LOG_FORMAT, LOG_LEVEL } = readConfig(["LOG_FORMAT", "LOG_LEVEL"], environment);
  const isText = (LOG_FORMAT ?? (lines.isTTY ? "text" : "json")) === "text";
  return isText
    ? textOutput()
    : jsonOutput(
        atLevel(
          jsonLog((line) => lines.write(line)),
          LOG_LEVEL,
        ),
      );

  function textOutput(): StackOutput {
    const hasColors = lines.isTTY === true && !environment.NO_COLOR;
    const isDetailed = LOG_LEVEL === "debug";
    const columns = () => lines.columns;
    const log = textLog({ write: (line) => lines.write(line), hasColors, isDetailed, columns });
    const showsNews = ["debug", "info"].includes(LOG_LEVEL);
    return {
      log: atLevel(log, LOG_LEVEL),
      onNews: showsNews ? log.tell : undefined,
      started: (stack, usualHome, link) => lines.write(`${startLines(stack, usualHome, link)}\n`),
      stopping: (names, fate) => lines.write(`\n${stopLine(names, fate)}\n`),
      asking: (names, seconds) => lines.write(`\n${choiceLine(names, seconds)}\n`),
      stopped: (home, fate) => lines.write(`${stoppedLine(home, fate)}\n`),
    };
  }

  function jsonOutput(log: Log): StackOutput {
    return {
      log,
      started(stack, usualHome, link) {
        const { url, metricsUrl, home, isolation, limits, cluster } = stack;
        log.info("started", { url, metricsUrl, home, isolation, limits, ...(cluster && { cluster: { ...cluster } }) });
        notes.write(`${startLines(stack, usualHome, link)}\n`);
      },
      stopping(names, fate) {
        log.info("stopping", { running: names });
        notes.write(`\n${stopLine(names, fate)}\n`);
      },
      asking: (names, seconds) => notes.write(`\n${choiceLine(names, seconds)}\n`),
      stopped(home, fate) {
        log.info("stopped", { home });
        notes.write(`${stoppedLine(home, fate)}\n`);
      },
    };
  }
}

function stoppedLine(path: string, fate: Fate = "end"): string {
  const home = printableText(path);
  if (fate === "go on") return `Stopped. Environments go on, and the next start in ${home} takes them over.`;
  if (fate === "go on on the cluster")
    return `Stopped. Records are in ${home}; the next start there finds what runs on the cluster.`;
  return `Stopped: every environment that ran has ended. Disks and records are in ${home}; waiting ones start with the next start there.`;
}

/** Drops log lines below this level. A plan or a sweep that found nothing to do counts as `debug`. */
export function atLevel(log: Log, level: Config["LOG_LEVEL"]): Log {
  const least = levels.indexOf(level);
  return {
    info: (event, fields) => {
      const isDebug = isIdle(event, fields);
      if (least > levels.indexOf(isDebug ? "debug" : "info")) return;
      if (isDebug && log.debug) log.debug(event, fields);
      else log.info(event, fields);
    },
    warn: (event, fields) => {
      if (least <= levels.indexOf("warn")) log.warn(event, fields);
    },
    error: log.error,
  };
}

const levels = ["debug", "info", "warn", "error"] as const satisfies readonly Config["LOG_LEVEL"][];

function isIdle(event: string, fields: Readonly<Record<string, unknown>> = {}): boolean {
  return counts[event]?.every((name) => fields[name] === 0) ?? false;
}

/** Fields by event: if all of them are 0, nothing was done. */
const counts: Readonly<Record<string, readonly string[]>> = {
  plan: ["granted", "held", "waiting"],
  sweep: ["sent"],
};

type Lines = Outputs["lines"];

const mostBytes = 10 * 1024 * 1024;

/**
 * Returns an output that rotates the log of a background stack at 10 MiB into `<path>.1`. Returns the output itself
 * if it is not this file.
 */
export function boundLog(lines: Lines, descriptor: number, path: string): Lines {
  if (!isSameFile(descriptor, path)) return lines;
  return {
    write(text: string) {
      if (fstatSync(descriptor).size > mostBytes) moveAside(descriptor, path);
      return lines.write(text);
    },
  } as Lines;
}

function isSameFile(descriptor: number, path: string): boolean {
  const [ownStats, named] = [fstatSync(descriptor), statSync(path, { throwIfNoEntry: false })];
  return ownStats.isFile() && ownStats.ino === named?.ino && ownStats.dev === named.dev;
}

/** Truncates the file instead of replacing it, because the open descriptors of this process append to it. */
function moveAside(descriptor: number, path: string): void {
  try {
    const old = `${path}.1`;
    const newest = readEnd(path);
    rmSync(old, { force: true });
    writeFileSync(old, newest, { mode: 0o600, flag: "wx" });
  } catch {
    // On a full disk the old lines are lost, so that the log stays bounded.
  }
  ftruncateSync(descriptor);
}

function readEnd(path: string): Buffer {
  const reader = openSync(path, "r");
  try {
    const end = Buffer.alloc(mostBytes);
    return end.subarray(0, readSync(reader, end, 0, mostBytes, fstatSync(reader).size - mostBytes));
  } finally {
    closeSync(reader);
  }
}
