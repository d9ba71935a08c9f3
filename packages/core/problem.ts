/** The kinds of failures of a request. Each dialect maps them to status codes. */
export type ProblemKind =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "notFound"
  | "methodNotAllowed"
  | "conflict"
  /** The caller has reached a limit. */
  | "quota"
  | "gone"
  | "tooLarge"
  /** The body has an unsupported content coding. */
  | "unsupported"
  | "tooMany"
  | "failed"
  | "unavailable";

/** The error codes by which clients tell problems apart, equal in every dialect (docs/apis/common.md#error-codes). */
export const errorCodes = [
  "key_missing",
  "key_invalid",
  "key_expired",
  "key_revoked",
  "user_disabled",
  "not_found",
  "ambiguous",
  "conflict",
  "invalid",
  "capacity",
  "limit",
  "rate",
  "unavailable",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An invalid field of a request. `path` starts with its place: body, query or path. */
export interface FieldProblem {
  readonly type: string;
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly input: unknown;
  /** The message comes from the field's schema, not from its type. */
  readonly isOwn?: boolean;
  /** Required, and missing, null or empty. */
  readonly isAbsent?: boolean;
  /** The bounds that the value exceeds, inclusive. */
  readonly range?: readonly [lowest: number, highest: number];
}

export interface ProblemDetails {
  /** All invalid fields, in the order of the documented table. */
  readonly fields?: readonly FieldProblem[];
  /** Always set with `tooMany` and `unavailable`. */
  readonly retryAfterSeconds?: number;
  /** The allowed methods, for `methodNotAllowed`. */
  readonly allow?: readonly string[];
  /** A code for dialects that have one: `INSTANCE_NOT_FOUND`. */
  readonly code?: string;
  readonly errorCode?: ErrorCode;
  /** The result of an earlier try of the same request was undone. The request may be sent again under another id. */
  readonly isUndone?: true;
  readonly cause?: unknown;
}

/** A failure that the caller may see. The message names the fact and the subject, and no internals. */
export class Problem extends Error {
  readonly kind: ProblemKind;
  readonly details: ProblemDetails;

  constructor(kind: ProblemKind, message: string, details: ProblemDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "Problem";
    this.kind = kind;
    this.details = details;
  }
}

/** The condition of a write failed, because another writer was faster. Read and decide again. */
export class Conflict extends Error {
  constructor(subject: string) {
    super(`Changed by another writer: ${subject}`);
    this.name = "Conflict";
  }
}

/** The volume service refused a request. The message may be shown: `Access denied`. */
export class VolumeRefused extends Error {
  /** True if retries fail until an operator changes something, so waiting would only block a machine. */
  readonly isForGood: boolean;

  constructor(text: string, { isForGood = false }: { readonly isForGood?: boolean } = {}) {
    super(text);
    this.name = "VolumeRefused";
    this.isForGood = isForGood;
  }
}

/** The receiver's address must not be dialled. Nothing was sent. */
export class AddressRefused extends Error {
  constructor() {
    super("The address is private");
    this.name = "AddressRefused";
  }
}

/** An address did not answer. The message may be shown: `timed out`, `connection refused`. */
export class NoAnswer extends Error {
  constructor(why: string) {
    super(why);
    this.name = "NoAnswer";
  }
}

export class RunGone extends Error {
  constructor() {
    super("The run is gone");
    this.name = "RunGone";
  }
}

/** The cluster will never accept the run. The message may be shown to its owner. */
export class RunRefused extends Error {
  constructor(words: string) {
    super(words);
    this.name = "RunRefused";
  }
}

/** The cluster did not accept the run now, but may later. The message may be shown to its owner. */
export class RunNotTaken extends Error {
  constructor(words: string) {
    super(words);
    this.name = "RunNotTaken";
  }
}

/** The cluster did not answer, so the state of the run is unknown. */
export class ClusterAway extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.name = "ClusterAway";
  }
}

/** A removal that requires an unbound run found a bound one. */
export class RunBound extends Error {
  constructor() {
    super("The run is bound");
    this.name = "RunBound";
  }
}

/** STS refused the request. `code` is its error code (`InvalidClientTokenId`, `ExpiredToken` …). */
export class IdentityRefused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`STS refused: ${code}`);
    this.name = "IdentityRefused";
    this.code = code;
  }
}

/** Returns name and code of an error. Its message may repeat the request, secrets included. */
export function kindOfError(error: unknown): string {
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = [name, code].filter((part) => /^[\w.-]{1,40}$/.test(String(part ?? "")));
  return kind.join(" ") || "unknown error";
}
