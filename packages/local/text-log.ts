import { styleText } from "node:util";
import { redacted } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import type { News } from "./environment-news.ts";
import { printable } from "./printable.ts";

export interface TextLogOptions {
  /** Takes one line, with its end. */
  readonly write: (line: string) => void;
  readonly hasColors: boolean;
  /** How wide the terminal is now; undefined: what is told of an environment is as long as it is. */
  readonly columns?: () => number | undefined;
  /** Whether each request, look and plan is shown as well. */
  readonly isDetailed: boolean;
}

/** Lines for people: what happened to environments, and what went wrong. */
export interface TextLog extends Log {
  tell(news: News): void;
}

/**
 * What is told comes from users: nothing of it reaches the terminal as a control character. What is tried again and goes
 * well the second time is told in detail only.
 */
export function textLog({ write, hasColors, isDetailed, columns }: TextLogOptions): TextLog {
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    hasColors ? styleText(format, text, { validateStream: false }) : text;
  const line = (at: number, text: string) => write(`${style("dim", timeOf(at))}  ${text}\n`);
  const say = (words: string, fields: Fields = {}) => line(Date.now(), `${words}${printable(detailsOf(fields))}`);
  return {
    tell: ({ at, name, words, tone }) => {
      const width = columns?.();
      const whole = printable(name);
      const label = (width === undefined ? whole : withoutMiddle(whole)).padEnd(nameWidth);
      const room = Math.max(leastWords, (width ?? Number.POSITIVE_INFINITY) - timeWidth - label.length - 2);
      const said = shortened(printable(words), room);
      const color = ({ good: "green", bad: "red", plain: undefined } as const)[tone];
      line(at, `${style("bold", label)}  ${color ? style(color, said) : said}`);
    },
    info: (event, fields = {}) => {
      const found = sentences[event]?.(fields);
      if (found !== undefined) say(found);
      else if (isDetailed) say(style("dim", event), fields);
    },
    warn: (event, fields = {}) => {
      if (isDetailed || !isFirstFailure(event, fields)) say(`${style("yellow", "warning")}: ${event}`, fields);
    },
    error: (event, fields) => say(`${style("red", "error")}: ${event}`, fields),
  };
}

type Fields = Readonly<Record<string, unknown>>;

const timeWidth = 10;
/** As long as `developer/gpu-dev-9e41c7d3`, what a job is called without a name of its own. */
const nameWidth = 26;
const leastWords = 40;

/** Of a long name its beginning, whose it is, and its end, which tells it from others. */
function withoutMiddle(name: string): string {
  return name.length <= nameWidth ? name : `${name.slice(0, nameWidth - 12)}…${name.slice(-11)}`;
}

/** One thing is one row of the terminal: the whole of it is in the timeline that the API shows. */
function shortened(text: string, room: number): string {
  return text.length <= room ? text : `${text.slice(0, room - 1)}…`;
}

/** Log lines that say something of environments. */
const sentences: Readonly<Record<string, (fields: Fields) => string>> = {
  "runs found": ({ adopted, over, ended }) =>
    `environments of an earlier stack: ${adopted} go on, ${over} had ended, ${ended} had no record and were ended`,
};

function isFirstFailure(event: string, { attempts }: Fields): boolean {
  return event === "step failed" && attempts === 1;
}

function timeOf(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}

/** `why` first, then the rest as it would stand in JSON. */
function detailsOf(fields: Fields): string {
  const { error, why, reason, ...rest } = redacted(fields) as Record<string, unknown>;
  const causes = [error, why, reason].filter((cause) => cause !== undefined).map(causeOf);
  const details = Object.entries(rest).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${textOf(value)}`,
  );
  return `${causes.map((cause) => `: ${cause}`).join("")}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

/** Of an error its message; its stack is in JSON. */
function causeOf(cause: unknown): string {
  const { name, message } = Object(cause) as { readonly name?: unknown; readonly message?: unknown };
  return typeof message === "string" ? `${name ?? "Error"}: ${message}` : textOf(cause);
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
