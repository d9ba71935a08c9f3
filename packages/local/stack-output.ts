import { type Environment, readConfig } from "#aws/config.ts";
import { jsonLog } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import { printableText } from "#core/printable-text.ts";
import { atLevel } from "./log-level.ts";
import type { Stack } from "./stack.ts";
import type { StackOptions } from "./stack-start.ts";
import { startLines, stopLine } from "./start-lines.ts";
import { textLog } from "./text-log.ts";

/** What a program that runs the stack writes, from its start to its end. */
export interface StackOutput extends Required<Pick<StackOptions, "log">>, Pick<StackOptions, "onNews"> {
  /** `usualHome` is where `npm run env` looks when no home is set. */
  started(stack: Stack, usualHome: string): void;
  /** Undefined: they could not be found out in time. */
  stopping(names: readonly string[] | undefined, isCluster?: boolean): void;
  stopped(home: string, isCluster?: boolean): void;
}

/** Where a program writes; what is for people goes to `notes` where `lines` is for programs. */
export interface Outputs {
  readonly lines: Pick<NodeJS.WriteStream, "write" | "isTTY" | "columns">;
  readonly notes: Pick<NodeJS.WriteStream, "write">;
}

/** Plain lines on a terminal, JSON elsewhere; LOG_FORMAT and LOG_LEVEL say otherwise. Throws for bad settings. */
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
      started: (stack, usualHome) => lines.write(`${startLines(stack, usualHome)}\n`),
      stopping: (names, isCluster) => lines.write(`\n${stopLine(names, isCluster)}\n`),
      stopped: (home, isCluster) => lines.write(`${stoppedLine(home, isCluster)}\n`),
    };
  }

  function jsonOutput(log: Log): StackOutput {
    return {
      log,
      started(stack, usualHome) {
        const { url, metricsUrl, home, isolation, limits, cluster } = stack;
        log.info("started", { url, metricsUrl, home, isolation, limits, ...(cluster && { cluster: { ...cluster } }) });
        notes.write(`${startLines(stack, usualHome)}\n`);
      },
      stopping(names, isCluster) {
        log.info("stopping", { running: names });
        notes.write(`\n${stopLine(names, isCluster)}\n`);
      },
      stopped(home, isCluster) {
        log.info("stopped", { home });
        notes.write(`${stoppedLine(home, isCluster)}\n`);
      },
    };
  }
}

function stoppedLine(path: string, isCluster = false): string {
  const home = printableText(path);
  if (isCluster) return `Stopped. Records are in ${home}; the next start there finds what runs on the cluster.`;
  return `Stopped: every environment that ran has ended. Disks and records are in ${home}; what still waited starts with the next start there.`;
}
