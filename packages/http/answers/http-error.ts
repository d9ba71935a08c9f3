import { type ErrorCode, Problem, type ProblemDetails, type ProblemKind } from "#core/problem.ts";
import type { HttpProblemKind } from "../dialect.ts";

export const ERROR_HEADER = "Berth-Error";

/** A problem found outside the verbs. Without a text the dialect's own text is shown. */
export class HttpError extends Problem {
  readonly situation: HttpProblemKind;

  constructor(situation: HttpProblemKind, details: ProblemDetails = {}, text = "") {
    super(kinds[situation], text, details);
    this.name = "HttpError";
    this.situation = situation;
  }
}

const kinds = {
  noKey: "unauthenticated",
  badKey: "unauthenticated",
  disabledUser: "forbidden",
  unknownPath: "notFound",
  wrongMethod: "methodNotAllowed",
  tooLarge: "tooLarge",
  encodedBody: "unsupported",
  badJson: "invalid",
  badFields: "invalid",
  otherRequest: "conflict",
  tooMany: "tooMany",
  unexpected: "failed",
  unavailable: "unavailable",
} as const satisfies Record<HttpProblemKind, ProblemKind>;

/** Returns the error code of a problem (docs/apis/common.md#error-codes): its own, its situation's or its kind's. */
export function errorCode(problem: Problem): ErrorCode {
  const ofSituation = problem instanceof HttpError ? bySituation[problem.situation] : undefined;
  return problem.details.errorCode ?? ofSituation ?? byKind[problem.kind];
}

const bySituation: Readonly<Partial<Record<HttpProblemKind, ErrorCode>>> = {
  noKey: "key_missing",
  disabledUser: "user_disabled",
};

const byKind = {
  invalid: "invalid",
  unauthenticated: "key_invalid",
  forbidden: "key_invalid",
  notFound: "not_found",
  methodNotAllowed: "invalid",
  conflict: "conflict",
  quota: "limit",
  gone: "conflict",
  tooLarge: "invalid",
  unsupported: "invalid",
  tooMany: "rate",
  failed: "internal",
  unavailable: "unavailable",
} as const satisfies Record<ProblemKind, ErrorCode>;
