import type { Log } from "#core/ports/log.ts";

export interface LogLine {
  readonly level: "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A log that nobody reads. */
export function silentLog(): Log {
  return { info() {}, warn() {}, error() {} };
}

/** A log whose lines a test can look at. */
export function recordingLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: LogLine["level"]) =>
    (event: string, fields: Readonly<Record<string, unknown>> = {}) => {
      lines.push({ level, event, fields });
    };
  return { lines, info: at("info"), warn: at("warn"), error: at("error") };
}
