import type { ErrorEvent } from "./error-events.ts";

export interface Log {
  /** Where a log has no such level, `info` takes its lines. */
  debug?(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Each event has a metric and an alarm (error-events.ts). */
  error(event: ErrorEvent, fields?: Readonly<Record<string, unknown>>): void;
}
