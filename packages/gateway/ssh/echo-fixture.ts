import { once } from "node:events";
import { PassThrough } from "node:stream";
import type { ProgramEnd, Reach } from "../ports/reach.ts";

/** Starts a program that gives its input back. */
export const echo: Reach["start"] = async () => {
  const through = new PassThrough();
  const ended = once(through, "end").then((): ProgramEnd => ({ exitCode: 0 }));
  return {
    input: through,
    output: through,
    ended,
    resize: () => undefined,
    hangUp: async () => void through.destroy(),
  };
};
