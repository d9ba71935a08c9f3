import { Conflict } from "#core/problem.ts";

/**
 * Reports whether something outside did not answer, so that the same request may succeed later: network errors of
 * Node, time-outs, throttling and server faults of AWS, and a record under contention.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof Conflict) return true;
  const { code, $fault, $retryable } = error as ForeignError;
  if (typeof code === "string" && networkCodes.has(code)) return true;
  if (names.has(error.name) || $fault === "server" || $retryable !== undefined) return true;
  return error.cause !== undefined && isOutage(error.cause);
}

interface ForeignError extends Error {
  readonly code?: unknown;
  readonly $fault?: unknown;
  readonly $retryable?: unknown;
}

const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_SOCKET",
]);

const names = new Set([
  "TimeoutError",
  "ThrottlingException",
  "ProvisionedThroughputExceededException",
  "RequestLimitExceeded",
  "RequestThrottled",
]);
