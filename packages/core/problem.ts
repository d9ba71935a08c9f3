/** What can be wrong with a request, in the core's words. A dialect's table gives each its status. */
export type ProblemKind =
  | "invalid"
  | "unauthenticated"
  | "forbidden"
  | "notFound"
  | "methodNotAllowed"
  | "conflict"
  /** The caller has as many of a thing as one may have. */
  | "quota"
  | "gone"
  | "tooLarge"
  /** The body is in a coding that the server does not read. */
  | "unsupported"
  | "tooMany"
  | "failed"
  | "unavailable";

/** What clients tell problems apart by: the same words in every dialect (docs/apis/common.md#error-codes). */
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

/** One bad field of a request; `path` starts with where it was: body, query or path. */
export interface FieldProblem {
  readonly type: string;
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly input: unknown;
  /** The message is its schema's own words, and not those of its type. */
  readonly isOwn?: boolean;
  /** Required, and missing, null or empty. */
  readonly isAbsent?: boolean;
  /** The bounds that it left, both ends included. */
  readonly range?: readonly [lowest: number, highest: number];
}

export interface ProblemDetails {
  /** All bad fields, in the order of the documented table. */
  readonly fields?: readonly FieldProblem[];
  /** Told with whatever passes: always with `tooMany` and `unavailable`. */
  readonly retryAfterSeconds?: number;
  /** For `methodNotAllowed`. */
  readonly allow?: readonly string[];
  /** A word of its own for dialects that have one: `INSTANCE_NOT_FOUND`. */
  readonly code?: string;
  /** Replaces the error code of its kind. */
  readonly errorCode?: ErrorCode;
  /** What an earlier try of the same request made has come to nothing: it may be asked for anew, under another id. */
  readonly isUndone?: true;
  readonly cause?: unknown;
}

/** A failure that may be shown to the caller: the message names fact and subject and no internals. */
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

/** The condition of a write did not hold: somebody else was faster. Read again and decide again. */
export class Conflict extends Error {
  constructor(what: string) {
    super(`Changed meanwhile: ${what}`);
    this.name = "Conflict";
  }
}

/** The volume service said no to one thing, in words that may be shown: `Access denied`. */
export class VolumeRefused extends Error {
  /** A retry fails too, until an operator changes something, and would only hold a machine. */
  readonly isForGood: boolean;

  constructor(text: string, { isForGood = false }: { readonly isForGood?: boolean } = {}) {
    super(text);
    this.name = "VolumeRefused";
    this.isForGood = isForGood;
  }
}

/** The address of a receiver is one that is not dialled. Nothing was sent. */
export class AddressRefused extends Error {
  constructor() {
    super("The address is private");
    this.name = "AddressRefused";
  }
}

/** Nothing answered at an address. The message is a word or two that may be shown: `timed out`, `connection refused`. */
export class NoAnswer extends Error {
  constructor(why: string) {
    super(why);
    this.name = "NoAnswer";
  }
}

/** There is no living run to do this in. */
export class RunGone extends Error {
  constructor() {
    super("The run is gone");
    this.name = "RunGone";
  }
}

/** The run will never be taken, however often it is applied; why, in words that may be shown to its owner. */
export class RunRefused extends Error {
  constructor(words: string) {
    super(words);
    this.name = "RunRefused";
  }
}

/** The run was not taken now and may be later; why, in words that may be shown to its owner. */
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

/** The run was to be removed only while nothing of it had begun. */
export class RunBound extends Error {
  constructor() {
    super("The run is bound");
    this.name = "RunBound";
  }
}

/** STS said no, with its own error code (`InvalidClientTokenId`, `ExpiredToken` …). */
export class IdentityRefused extends Error {
  readonly code: string;

  constructor(code: string) {
    super(`STS refused: ${code}`);
    this.name = "IdentityRefused";
    this.code = code;
  }
}
