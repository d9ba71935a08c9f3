import type { FieldProblem, ProblemKind } from "#core/problem.ts";

/** The published APIs. */
export const dialectNames = ["gpu-dev", "session-manager", "onmemos", "novita", "dev8"] as const;

export type DialectName = (typeof dialectNames)[number];

export function isDialectName(word: string): word is DialectName {
  return (dialectNames as readonly string[]).includes(word);
}

/** Problems of the HTTP layer: the rows of docs/apis/common.md#order-of-checks-and-errors. */
export type HttpProblemKind =
  | "noKey"
  | "badKey"
  | "disabledUser"
  | "unknownPath"
  | "wrongMethod"
  | "tooLarge"
  | "encodedBody"
  | "badJson"
  | "badFields"
  | "otherRequest"
  | "tooMany"
  | "unexpected"
  | "unavailable";

export interface ProblemView {
  readonly status: number;
  readonly text: string;
  readonly hint: string | undefined;
  readonly category: string;
  readonly code: string | undefined;
  /** Bad fields, with inputs already free of secrets. */
  readonly fields: readonly FieldProblem[];
  readonly requestId: string;
  readonly correlationId: string | undefined;
  readonly now: number;
}

/** The wording and the envelope of one published API. It knows nothing of the domain. */
export interface Dialect {
  readonly name: DialectName;
  readonly noun: string;
  /** Whether `//` and block comments are accepted outside strings (docs/apis/common.md#headers-and-bodies). */
  readonly commentsInJson: boolean;
  /**
   * Whether an open local stack admits requests without a key, because the published clients cannot send one
   * (docs/apis/common.md#keys).
   */
  readonly keylessLocally: boolean;
  /** Whether the cookie of a browser's session counts as a key (docs/apis/common.md#browser-sessions). */
  readonly takesCookie?: true;
  readonly statuses?: Readonly<Partial<Record<ProblemKind, number>>>;
  readonly texts: Readonly<Record<HttpProblemKind, string>>;
  readonly hints: Readonly<Partial<Record<HttpProblemKind, string>>>;
  readonly categories: Readonly<Partial<Record<HttpProblemKind | ProblemKind, string>>>;
  readonly envelope: (shown: ProblemView) => unknown;
}

export const sharedTexts = {
  noKey: "Not authenticated",
  badKey: "Invalid API key",
  disabledUser: "User account is disabled",
  unknownPath: "Not Found",
  wrongMethod: "Method Not Allowed",
  tooLarge: "Request body too large",
  encodedBody: "Content-Encoding is not supported: send the request body uncompressed",
  badJson: "Invalid JSON body",
  badFields: "Validation failed",
  otherRequest: "Idempotency-Key was already used with a different request",
  tooMany: "Too many requests",
  unexpected: "Internal server error",
  unavailable: "Service unavailable",
} as const satisfies Record<HttpProblemKind, string>;
