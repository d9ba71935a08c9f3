/** Example: `{ reason: "ExitCode", message: "3" }`. */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** Body of an error (`kind: Status`). */
export interface StatusBody {
  readonly kind?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly StatusCause[]; readonly retryAfterSeconds?: number };
}

/** Refusal by the API server. Do not log `said`: the server's text may repeat secrets of the request. */
export class ApiRefused extends Error {
  readonly status: number;
  /** Reason of the `Status`, such as `NotFound` or `Expired`; empty if a proxy answered. */
  readonly code: string;
  readonly said: string;

  constructor(call: string, status: number, body: StatusBody = {}) {
    const code = /^\w{1,60}$/.test(body.reason ?? "") ? (body.reason ?? "") : "";
    super(`${call}: ${[status, code].filter(Boolean).join(" ")}`);
    this.name = "ApiRefused";
    this.status = status;
    this.code = code;
    this.said = body.message ?? "";
  }
}

/** No complete answer came. The server may have executed the call all the same. */
export class ApiUnreachable extends Error {
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.name = "ApiUnreachable";
    this.code = code;
  }
}

export const tooLong = "too long";

export function isTooLong(error: unknown): boolean {
  return error instanceof ApiUnreachable && error.code === tooLong;
}

export const timedOut = "timed out";

export function isLate(error: unknown): boolean {
  return error instanceof ApiUnreachable && error.code === timedOut;
}

/** Reports whether the API server said that the object does not exist. A proxy's 404 does not count. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 404 && error.code === "NotFound";
}

/** Reports a conflict: the object was changed or replaced, or a precondition failed. */
export function isAnother(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 409 && error.code === "Conflict";
}

/** Reports whether the name is taken, possibly by an earlier attempt of the same call. */
export function alreadyExists(error: unknown): boolean {
  return error instanceof ApiRefused && error.code === "AlreadyExists";
}

/** Reports whether a retry would be refused too: a right is missing, or an admission policy rejects the object. */
export function isForGood(error: unknown): boolean {
  return error instanceof ApiRefused && [400, 403, 422].includes(error.status);
}

/** Reports whether a resource version has expired, so that the caller must list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 410;
}
