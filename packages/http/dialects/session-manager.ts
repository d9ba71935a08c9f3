import { endpointsIn } from "../declare-endpoint.ts";
import { type Dialect, sharedTexts } from "../dialect.ts";
import { textOfFirst } from "./first-field.ts";

/** docs/apis/session-manager.md#errors. */
export const sessionManagerDialect: Dialect = {
  name: "session-manager",
  noun: "session",
  commentsInJson: false,
  keylessLocally: false,
  texts: {
    ...sharedTexts,
    noKey: "API key required",
    unknownPath: "Not found",
    wrongMethod: "Method not allowed",
  },
  hints: { noKey: "Include X-API-Key header" },
  categories: {},
  envelope: ({ text, hint, fields }) => {
    const error = textOfFirst(fields, text);
    return hint === undefined ? { error } : { error, message: hint };
  },
};

export const sessionManager = endpointsIn(sessionManagerDialect);
