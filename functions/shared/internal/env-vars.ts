import * as z from "zod";
import { fewEntries } from "#http/request/few-entries.ts";

const MOST_ENTRIES = 100;
const MOST_BYTES = 32 * 1024;
const reserved = /^(?:PATH$|LD_|KUBERNETES_|AWS_)/;

export const EnvVars = fewEntries(
  MOST_ENTRIES,
  `At most ${MOST_ENTRIES} variables are allowed`,
  z
    .record(
      z
        .string()
        .regex(
          /^[A-Za-z_][A-Za-z0-9_]*$/,
          "Names of variables must contain only letters, numbers, and underscores, and not begin with a number",
        )
        .refine((name) => !reserved.test(name), "This name is reserved"),
      z
        .union([z.string(), z.number(), z.boolean()])
        .transform(String)
        .refine((value) => !value.includes("\0"), "Must not contain NUL"),
    )
    .refine((vars) => Buffer.byteLength(JSON.stringify(vars)) <= MOST_BYTES, "At most 32 KiB in all are allowed"),
);
