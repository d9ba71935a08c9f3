import { type BerthError, UnavailableError, UnreachableError } from "./errors.ts";

/** How long waits and followed logs go on after the last answer of a server. */
export const longestOutageMs = 10 * 60_000;
export const firstDelayMs = 1000;
export const longestDelayMs = 15_000;

/** Reports whether a server that is away or restarts explains the error. */
export function isOutage(error: unknown): error is BerthError {
  return error instanceof UnreachableError || error instanceof UnavailableError;
}
