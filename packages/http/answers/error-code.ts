import type { ErrorCode, Problem, ProblemKind } from "#core/problem.ts";
import type { HttpProblemKind } from "../dialect.ts";
import { HttpError } from "./http-error.ts";

export const ERROR_HEADER = "Berth-Error";

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
