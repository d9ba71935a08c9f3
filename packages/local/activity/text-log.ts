import { styleText } from "node:util";
import { redacted } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import { printableText } from "#core/text/printable-text.ts";
import type { News } from "./activity-log.ts";

export interface TextLogOptions {
  /** Takes one line, with its end. */
  readonly write: (line: string) => void;
  readonly hasColors: boolean;
  /** How wide the terminal is now; undefined: what is told of an environment is one line, as long as it is. */
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
  const line = (at: number, text: string) => write(`${style("dim", formatTime(at))}  ${text}\n`);
  const say = (words: string, fields: Fields = {}) =>
    line(Date.now(), `${words}${printableText(formatDetails(fields))}`);
  return {
    tell: ({ at, name, id, words, tone }) => {
      // 0 is what a terminal says that does not know.
      const width = columns?.() || Number.POSITIVE_INFINITY;
      const whole = printableText(name);
      const hasId = whole.includes(id);
      const called = hasId || width === Number.POSITIVE_INFINITY ? whole : withoutMiddle(whole);
      const label = (hasId ? called : `${called} ${printableText(id)}`).padEnd(nameWidth);
      const rows = listRows(printableText(words), width - timeWidth - label.length - 2, width - indent.length);
      const color = ({ good: "green", bad: "red", plain: undefined } as const)[tone];
      const [first = "", ...others] = rows.map((row) => (color ? style(color, row) : row));
      line(at, [`${style("bold", label)}  ${first}`, ...others.map((row) => indent + row)].join("\n"));
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
/** Before what goes on from the row above. */
const indent = " ".repeat(timeWidth + 2);
const leastWords = 20;
const mostRows = 5;

/** Of a long name its beginning, whose it is, and its end, which tells it from others. */
function withoutMiddle(name: string): string {
  return name.length <= nameWidth ? name : `${name.slice(0, nameWidth - 12)}…${name.slice(-11)}`;
}

/** A reason is read to its end, in as many rows of the terminal as it takes: at most five, for whatever users send. */
function listRows(text: string, firstRoom: number, room: number): string[] {
  const rows: string[] = firstRoom < leastWords && text.length > firstRoom ? [""] : [];
  let rest = text;
  while (rows.length < mostRows) {
    const most = Math.max(leastWords, rows.length === 0 ? firstRoom : room);
    if (rest.length <= most) return [...rows, rest];
    const blank = rest.lastIndexOf(" ", most);
    const end = blank > 0 ? blank : most;
    rows.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...rows.slice(0, -1), `${rows.at(-1)?.slice(0, -1)}…`];
}

/** Log lines that say something of environments. */
const sentences: Readonly<Record<string, (fields: Fields) => string>> = {
  "runs found": ({ adopted, over, ended }) =>
    `environments of an earlier stack: ${adopted} go on, ${over} had ended, ${ended} had no record and were ended`,
};

function isFirstFailure(event: string, { attempts }: Fields): boolean {
  return event === "step failed" && attempts === 1;
}

function formatTime(at: number): string {
  return new Date(at).toTimeString().slice(0, 8);
}

/** `why` first, then the rest as it would stand in JSON. */
function formatDetails(fields: Fields): string {
  const { error, why, reason, ...rest } = redacted(fields) as Record<string, unknown>;
  const causes = [error, why, reason].filter((cause) => cause !== undefined).map(getCause);
  const details = Object.entries(rest).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${formatText(value)}`,
  );
  return `${causes.map((cause) => `: ${cause}`).join("")}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

/** Of an error its message; its stack is in JSON. */
function getCause(cause: unknown): string {
  const { name, message } = Object(cause) as { readonly name?: unknown; readonly message?: unknown };
  return typeof message === "string" ? `${name ?? "Error"}: ${message}` : formatText(cause);
}

function formatText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
