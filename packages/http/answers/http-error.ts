import { Problem, type ProblemDetails, type ProblemKind } from "#core/problem.ts";
import type { HttpProblemKind } from "../dialect.ts";

/** A problem found outside the verbs. Without a text the dialect's own text is shown. */
export class HttpError extends Problem {
  readonly situation: HttpProblemKind;

  constructor(situation: HttpProblemKind, details: ProblemDetails = {}, text = "") {
    super(kinds[situation], text, details);
    this.name = "Refusal";
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
