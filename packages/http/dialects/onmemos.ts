import { endpointsIn } from "../declare-endpoint.ts";
import { type Dialect, sharedTexts } from "../dialect.ts";
import { textOfFirst } from "./first-field.ts";

export const onmemosDialect: Dialect = {
  name: "onmemos",
  noun: "workspace",
  commentsInJson: false,
  keylessLocally: false,
  texts: sharedTexts,
  hints: {},
  categories: {},
  envelope: ({ text, fields }) => ({ detail: textOfFirst(fields, text) }),
};

export const onmemos = endpointsIn(onmemosDialect);
