import { type BerthError, RateError, UnavailableError, UnreachableError } from "./errors.ts";

/** How long waits and followed logs go on after the last answer of a server. */
export const longestOutageMs = 10 * 60_000;
export const firstDelayMs = 1000;
export const longestDelayMs = 15_000;

/** Reports whether a server that is away, restarts or asks for a pause explains the error. */
export function isOutage(error: unknown): error is BerthError {
  return error instanceof UnreachableError || error instanceof UnavailableError || error instanceof RateError;
}

/** Returns the answer of a read, or undefined while the server is away. */
export async function readUnlessAway<Answer>(read: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isOutage(error)) throw error;
    return undefined;
  }
}
