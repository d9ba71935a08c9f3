import { parseDuration, printable } from "../terminal/text.ts";

/** Parameters that several commands share. */

export const json = {
  kind: "boolean",
  brief: "Print the objects of the API as JSON, one a line",
  withNegated: false,
} as const;

/** The `--json` flag of commands that print objects of `berth` itself. */
export const ownJson = flag("Print JSON, one object a line. See its fields with: berth help json");

export const yes = { kind: "boolean", brief: "Do not ask", withNegated: false } as const;

/** Returns a flag that is on or off. */
export function flag(brief: string) {
  return { kind: "boolean", brief, withNegated: false } as const;
}

export const watch = flag("Show it again at every change, until Ctrl-C");

/** For deployments that do not name the host keys of jobs. */
export const acceptNewHostKey = flag("Trust the first host key that the job shows, if the API names none");

/** Returns an optional flag with a text. */
export function text(brief: string, placeholder: string) {
  return { kind: "parsed", parse: String, optional: true, brief, placeholder } as const;
}

/** Returns an optional flag with a whole number. */
export function wholeNumber(brief: string, placeholder: string) {
  return { kind: "parsed", parse: parseWholeNumber, optional: true, brief, placeholder } as const;
}

function parseWholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new Error(`'${text}' is not a whole number`);
  return Number(text);
}

/** Reads a time in hours: `2`, `90m` or `1.5h`. */
export function parseHours(text: string): number {
  return parseDuration(text, "h") / 3600;
}

/** Reads a time in seconds: `30`, `10m` or `1h`. */
export function parseSeconds(text: string): number {
  return parseDuration(text, "s");
}

const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** Reads a time, `2026-01-20T18:30:00Z`, or a duration from now, `90m`. Returns it as RFC 3339 in whole seconds, UTC. */
export function parseTime(text: string): string {
  const time = rfc3339.test(text) ? Date.parse(text) : Date.now() + durationMs(text);
  if (Number.isNaN(time))
    throw new Error(
      `'${printable(text)}' is not a time: write one with its zone, such as 2026-01-20T20:30:00+02:00, or a duration from now, such as 90m`,
    );
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}

function durationMs(text: string): number {
  try {
    return parseDuration(text, "h") * 1000;
  } catch {
    return Number.NaN;
  }
}

/** One job, by name or id. */
export const job = {
  kind: "tuple",
  parameters: [
    {
      parse: String,
      optional: true,
      placeholder: "job",
      brief: "Name of a job, or the first 4 or more characters of its name or id. Your only live job by default",
      proposeCompletions: async (partial: string) => (await import("../commands/job-names.ts")).jobNames(partial),
    },
  ],
} as const;

/** Returns one optional argument. */
export function optionalWord(placeholder: string, brief: string) {
  return { kind: "tuple", parameters: [{ parse: String, optional: true, placeholder, brief }] } as const;
}

/** Returns any number of arguments. */
export function words(placeholder: string, brief: string, minimum = 0) {
  return { kind: "array", parameter: { parse: String, placeholder, brief }, minimum } as const;
}
