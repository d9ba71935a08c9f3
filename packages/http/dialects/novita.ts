import type { FieldProblem } from "#core/problem.ts";
import { endpointsIn } from "../declare-endpoint.ts";
import { type Dialect, sharedTexts } from "../dialect.ts";
import { formatFieldName, formatSentence } from "./first-field.ts";

/** docs/apis/novita.md#errors. */
export const novitaDialect: Dialect = {
  name: "novita",
  noun: "instance",
  commentsInJson: true,
  keylessLocally: true,
  texts: {
    ...sharedTexts,
    unknownPath: "Route {method} {path} not found",
    wrongMethod: "Method not allowed",
  },
  hints: {},
  categories: {
    invalid: "VALIDATION_ERROR",
    unauthenticated: "UNAUTHORIZED",
    forbidden: "FORBIDDEN",
    notFound: "NOT_FOUND",
    methodNotAllowed: "METHOD_NOT_ALLOWED",
    conflict: "CONFLICT",
    quota: "CONFLICT",
    otherRequest: "IDEMPOTENCY_CONFLICT",
    gone: "GONE",
    tooLarge: "PAYLOAD_TOO_LARGE",
    unsupported: "UNSUPPORTED_MEDIA_TYPE",
    tooMany: "RATE_LIMITED",
    failed: "INTERNAL_SERVER_ERROR",
    unavailable: "SERVICE_UNAVAILABLE",
  },
  envelope: ({ text, category, code = category, fields, requestId, correlationId, now }) => {
    const details = fields
      .filter(({ type }) => type !== "json_invalid")
      .map((field) => ({ field: formatFieldName(field), message: formatSentence(field), value: shownValue(field) }));
    return {
      error: {
        code,
        message: text,
        ...(details.length > 0 && { details }),
        timestamp: new Date(now).toISOString(),
        requestId,
        ...(correlationId !== undefined && { correlationId }),
      },
    };
  },
};

function shownValue({ type, input }: FieldProblem): unknown {
  return type === "missing" ? null : (input ?? null);
}

export const novita = endpointsIn(novitaDialect);
