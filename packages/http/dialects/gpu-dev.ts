import { type Dialect, sharedTexts } from "../dialect.ts";
import { endpointsIn } from "../endpoint.ts";

/** docs/apis/gpu-dev.md#errors. */
export const gpuDevDialect: Dialect = {
  name: "gpu-dev",
  noun: "job",
  commentsInJson: false,
  keylessLocally: false,
  statuses: { quota: 400 },
  texts: sharedTexts,
  hints: {},
  categories: {},
  envelope: ({ text, fields }) => ({
    detail:
      fields.length === 0
        ? text
        : fields.map(({ type, path, message, input }) => ({ type, loc: path, msg: message, input })),
  }),
};

export const gpuDev = endpointsIn(gpuDevDialect);
