import { endpointsIn } from "../declare-endpoint.ts";
import { type Dialect, sharedTexts } from "../dialect.ts";
import { textOfFirst } from "./first-field.ts";

/** docs/apis/dev8.md#errors: exactly four keys, in this order. */
export const dev8Dialect: Dialect = {
  name: "dev8",
  noun: "workspace",
  commentsInJson: true,
  keylessLocally: true,
  texts: {
    ...sharedTexts,
    unknownPath: "Route not found",
    wrongMethod: "Method not allowed",
    badJson: "Please check your JSON payload",
    unexpected: "An unexpected error occurred. Please try again later.",
  },
  hints: {},
  categories: {
    invalid: "Invalid Request",
    badJson: "Invalid request body",
    unauthenticated: "Unauthorized",
    forbidden: "Forbidden",
    notFound: "Resource Not Found",
    methodNotAllowed: "Method Not Allowed",
    conflict: "Conflict",
    quota: "Conflict",
    gone: "Gone",
    tooLarge: "Payload Too Large",
    unsupported: "Unsupported Media Type",
    tooMany: "Too Many Requests",
    failed: "Internal Server Error",
    unavailable: "Service Unavailable",
  },
  envelope: ({ status, text, category, fields }) => ({
    success: false,
    error: category,
    message: textOfFirst(fields, text),
    code: `ERR_${status}`,
  }),
};

export const dev8 = endpointsIn(dev8Dialect);
