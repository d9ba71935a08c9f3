/** A cause that an API server names beside its words: `{ reason: "ExitCode", message: "3" }`. */
export interface StatusCause {
  readonly reason?: string;
  readonly message?: string;
  readonly field?: string;
}

/** What an API server answers in place of an object (`kind: Status`). */
export interface StatusBody {
  readonly kind?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly StatusCause[]; readonly retryAfterSeconds?: number };
}

/**
 * The API server said no. The message names the call and the kind of refusal alone: `said`, the server's own words, may
 * repeat what it was sent, secrets among it, and is not for logs.
 */
export class ApiRefused extends Error {
  readonly status: number;
  /** The server's one word: `NotFound`, `AlreadyExists`, `Expired`; empty where something before it answered. */
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

/** No answer, or half of one: what was asked may have been done all the same. */
export class ApiUnreachable extends Error {
  readonly code: string;

  constructor(call: string, code: string) {
    super(`${call}: ${code}`);
    this.name = "ApiUnreachable";
    this.code = code;
  }
}

/** The answer was longer than any is read. */
export const tooLong = "too long";

export function isTooLong(error: unknown): boolean {
  return error instanceof ApiUnreachable && error.code === tooLong;
}

/** No answer came within the deadline of the call. */
export const timedOut = "timed out";

export function isLate(error: unknown): boolean {
  return error instanceof ApiUnreachable && error.code === timedOut;
}

/** Only the API server's own word that there is no such object: a proxy's 404 says nothing of it. */
export function isNotFound(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 404 && error.code === "NotFound";
}

/** Somebody else was faster, or a precondition failed: whoever was meant is gone, or has changed. */
export function isAnother(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 409 && error.code === "Conflict";
}

/** Another object has the name. It may be the very object that an earlier try of this call made. */
export function alreadyExists(error: unknown): boolean {
  return error instanceof ApiRefused && error.code === "AlreadyExists";
}

/** It would be refused again: a right is missing, or an admission policy says no. */
export function isForGood(error: unknown): boolean {
  return error instanceof ApiRefused && [400, 403, 422].includes(error.status);
}

/** The version that was to go on from is forgotten: begin with a list. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiRefused && error.status === 410;
}
