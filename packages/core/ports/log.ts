import type { ErrorEvent } from "./error-events.ts";

export interface Log {
  /** Absent if the log has no such level. Use `info` then. */
  debug?(event: string, fields?: Readonly<Record<string, unknown>>): void;
  info(event: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** Logs an error. Each event has a metric and an alarm (error-events.ts). */
  error(event: ErrorEvent, fields?: Readonly<Record<string, unknown>>): void;
}
