import type { AnswerHeaders, FetchedAnswer } from "./transport.ts";

/** Codes of the `Berth-Error` header. A newer server may send others. */
export type ErrorCode =
  | "key_missing"
  | "key_invalid"
  | "key_expired"
  | "key_revoked"
  | "user_disabled"
  | "not_found"
  | "ambiguous"
  | "conflict"
  | "invalid"
  | "capacity"
  | "limit"
  | "rate"
  | "unavailable"
  | "internal"
  | "unreachable"
  | "unreadable"
  | "timeout"
  | "action_failed";

export interface ErrorDetails {
  /** HTTP status, or 0 if no answer came. */
  readonly status: number;
  readonly code: ErrorCode;
  readonly requestId?: string | undefined;
  readonly hint?: string | undefined;
  /** The `Retry-After` header: seconds or a date. */
  readonly retryAfter?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Every failure of a call. `message` is one sentence, `hint` says what to do.
 *
 * @example
 * try { await berth.jobs.get("9e41"); } catch (error) {
 *   if (error instanceof BerthError) console.error(error.message, error.code, error.requestId);
 * }
 */
export class BerthError extends Error {
  readonly status: number;
  readonly code: ErrorCode;
  readonly requestId: string | undefined;
  readonly hint: string | undefined;
  readonly retryAfter: string | undefined;

  constructor(message: string, { status, code, requestId, hint, retryAfter, cause }: ErrorDetails) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.requestId = requestId;
    this.hint = hint;
    this.retryAfter = retryAfter;
  }
}

/** The key is missing, malformed, unknown, expired or revoked, or the AWS identity may not log in. */
export class KeyError extends BerthError {}
/** An operator disabled the user. */
export class UserDisabledError extends BerthError {}
export class NotFoundError extends BerthError {}
/** Several jobs begin with the given id. */
export class AmbiguousError extends BerthError {}
export class ConflictError extends BerthError {}
/** A field of the request is missing or wrong. */
export class InvalidError extends BerthError {}
/** A limit of the user or of the deployment is reached. */
export class LimitError extends BerthError {}
export class RateError extends BerthError {}
export class UnavailableError extends BerthError {}
export class InternalError extends BerthError {}
/** No answer came: DNS, connection or TLS failed, or the answer took too long. */
export class UnreachableError extends BerthError {}
/** The answer is not what Berth sends: HTML, or JSON that ends early. */
export class UnreadableAnswerError extends BerthError {}
/** A wait took longer than `timeoutMs`. */
export class WaitTimeoutError extends BerthError {}
/** The server accepted an action and could not carry it out. */
export class ActionFailedError extends BerthError {}

const classes: Readonly<Record<ErrorCode, typeof BerthError>> = {
  key_missing: KeyError,
  key_invalid: KeyError,
  key_expired: KeyError,
  key_revoked: KeyError,
  user_disabled: UserDisabledError,
  not_found: NotFoundError,
  ambiguous: AmbiguousError,
  conflict: ConflictError,
  invalid: InvalidError,
  capacity: LimitError,
  limit: LimitError,
  rate: RateError,
  unavailable: UnavailableError,
  internal: InternalError,
  unreachable: UnreachableError,
  unreadable: UnreadableAnswerError,
  timeout: WaitTimeoutError,
  action_failed: ActionFailedError,
};

const hints: Readonly<Record<ErrorCode, string>> = {
  key_missing: "Log in and pass the key.",
  key_invalid: "Log in again, as an identity that is allowed.",
  key_expired: "Log in again.",
  key_revoked: "Log in again.",
  user_disabled: "Ask an operator to enable the user.",
  not_found: "Check the name or id. Lists leave out what is gone or belongs to another user.",
  ambiguous: "Give more characters of the id.",
  conflict: "Read its state again, and repeat the call once nothing else changes it.",
  invalid: "Correct the request. The limits of a user are in the answer of me().",
  capacity: "Try again later.",
  limit: "End or delete something, or ask for less.",
  rate: "Wait a minute and try again.",
  unavailable: "Try again in a minute.",
  internal: "Report the request id to the operators.",
  unreachable: "Check the address, the network and the proxy settings.",
  unreadable: "Check that the address is that of a Berth deployment.",
  timeout: "Wait again, or give a longer timeoutMs.",
  action_failed: "Read the job or disk again. Its state says whether another attempt can work.",
};

/** Returns an error of the class that belongs to its code. */
export function errorFor(message: string, details: ErrorDetails): BerthError {
  const ErrorClass = classes[details.code];
  return new ErrorClass(message, { hint: hints[details.code], ...details });
}

/** Returns the error that an answer with this status, headers and body stands for. */
export function answerError(response: FetchedAnswer, body: unknown): BerthError {
  const message = findText(body) ?? `The server answered ${response.status}`;
  return errorFor(message, {
    status: response.status,
    code: sentCode(response.headers) ?? derivedCode(response.status, message),
    requestId: response.headers.get("x-request-id") ?? undefined,
    retryAfter: response.headers.get("retry-after") ?? undefined,
  });
}

function sentCode(headers: AnswerHeaders): ErrorCode | undefined {
  const code = headers.get("berth-error");
  return code !== null && Object.hasOwn(classes, code) ? (code as ErrorCode) : undefined;
}

/** Error codes by status, for servers that send no `Berth-Error`. The texts are those of docs/apis/common.md. */
function derivedCode(status: number, text: string): ErrorCode {
  if (status === 401) return keyCodes.find(([pattern]) => pattern.test(text))?.[1] ?? "key_invalid";
  if (status === 403) return /disabled/.test(text) ? "user_disabled" : "key_invalid";
  if (status === 404) return "not_found";
  if (status === 409) return /^Job id '.*' is ambiguous/.test(text) ? "ambiguous" : "conflict";
  if (status === 429) return "rate";
  if (status >= 502 && status <= 504) return "unavailable";
  if (status >= 500) return "internal";
  return /at most \d+ may wait/.test(text) ? "limit" : "invalid";
}

const keyCodes: readonly (readonly [RegExp, ErrorCode])[] = [
  [/^Not authenticated|^API key required/, "key_missing"],
  [/has expired/, "key_expired"],
  [/has been revoked/, "key_revoked"],
];

interface FieldProblem {
  readonly loc?: readonly (string | number)[];
  readonly msg?: string;
}

function findText(body: unknown): string | undefined {
  if (typeof body !== "object" || body === null || !("detail" in body)) return undefined;
  const { detail } = body;
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return undefined;
  return detail.map(({ loc = [], msg = "" }: FieldProblem) => `${loc.slice(1).join(".") || loc[0]}: ${msg}`).join("; ");
}
