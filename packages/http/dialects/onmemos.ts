import { type Dialect, sharedTexts } from "../dialect.ts";
import { endpointsIn } from "../endpoint.ts";
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
