import type { FieldProblem, ProblemKind } from "#core/problem.ts";
import type { UsualNames } from "./request/unknown-fields.ts";

/** The published APIs. Every table of them is a `Record<DialectName, …>`: one that lacks a dialect does not compile. */
export const dialectNames = ["gpu-dev", "session-manager", "onmemos", "novita", "dev8"] as const;

export type DialectName = (typeof dialectNames)[number];

/** What a record says of who made it is a word of the core, which knows no dialects. */
export function isDialectName(word: string): word is DialectName {
  return (dialectNames as readonly string[]).includes(word);
}

/** What the machinery itself refuses, or fails at: the rows of docs/apis/common.md#order-of-checks-and-errors. */
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

/** Everything an envelope may want to say about one problem. */
export interface ProblemView {
  readonly status: number;
  readonly text: string;
  /** A second sentence, where the dialect has one for the situation. */
  readonly hint: string | undefined;
  /** The dialect's own word for the kind of problem; "" in dialects that have none. */
  readonly category: string;
  /** The problem's own word, which goes before that of its kind in dialects that show one. */
  readonly code: string | undefined;
  /** Bad fields, their inputs already free of secrets. */
  readonly fields: readonly FieldProblem[];
  readonly requestId: string;
  readonly correlationId: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** How one published API words and wraps its problems, and which JSON it takes. Nothing here knows the domain. */
export interface Dialect {
  readonly name: DialectName;
  /** The dialect's word for an environment. */
  readonly noun: string;
  /** Whether `//` and block comments are accepted outside strings (docs/apis/common.md#headers-and-bodies). */
  readonly commentsInJson: boolean;
  /** Refuses unknown fields that resemble a known field or are a usual other word for it. Ignores all others. */
  readonly misspelt?: UsualNames;
  /**
   * Its printed clients have no slot for a key: an open local stack lets them in without (docs/apis/common.md#keys).
   */
  readonly keylessLocally: boolean;
  /** Statuses that differ from those of the other dialects. */
  readonly statuses?: Readonly<Partial<Record<ProblemKind, number>>>;
  /** `{method}` and `{path}` stand for those of the request. */
  readonly texts: Readonly<Record<HttpProblemKind, string>>;
  readonly hints: Readonly<Partial<Record<HttpProblemKind, string>>>;
  /** Words by situation, or else by kind. */
  readonly categories: Readonly<Partial<Record<HttpProblemKind | ProblemKind, string>>>;
  readonly envelope: (shown: ProblemView) => unknown;
}

/** The texts that most dialects share; each table replaces what it words otherwise. */
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
