import { styleText } from "node:util";
import { redacted } from "#aws/log.ts";
import type { Log } from "#core/ports/log.ts";
import { printableText } from "#core/text/printable-text.ts";
import type { News } from "./activity-log.ts";

export interface TextLogOptions {
  readonly write: (line: string) => void;
  readonly hasColors: boolean;
  readonly columns?: () => number | undefined;
  /** Shows each request, reconcile and plan. */
  readonly isDetailed: boolean;
}

export interface TextLog extends Log {
  tell(news: News): void;
}

/**
 * Formats log lines for users. News comes from users, so control characters are removed. The first failure of a step
 * is shown only in detail, because it is retried.
 */
export function textLog({ write, hasColors, isDetailed, columns }: TextLogOptions): TextLog {
  const style = (format: Parameters<typeof styleText>[0], text: string) =>
    hasColors ? styleText(format, text, { validateStream: false }) : text;
  const line = (at: number, text: string) => write(`${style("dim", formatTime(at))}  ${text}\n`);
  const say = (words: string, fields: Fields = {}) =>
    line(Date.now(), `${words}${printableText(formatDetails(fields))}`);
  return {
    tell: ({ at, name, id, words, tone }) => {
      // A terminal that does not know its width reports 0.
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
const nameWidth = 26;
const indent = " ".repeat(timeWidth + 2);
const leastWords = 20;
const mostRows = 5;

function withoutMiddle(name: string): string {
  return name.length <= nameWidth ? name : `${name.slice(0, nameWidth - 12)}…${name.slice(-11)}`;
}

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

function formatDetails(fields: Fields): string {
  const { error, why, reason, ...rest } = redacted(fields) as Record<string, unknown>;
  const causes = [error, why, reason].filter((cause) => cause !== undefined).map(getCause);
  const details = Object.entries(rest).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}=${formatText(value)}`,
  );
  return `${causes.map((cause) => `: ${cause}`).join("")}${details.length > 0 ? ` (${details.join(", ")})` : ""}`;
}

function getCause(cause: unknown): string {
  const { name, message } = Object(cause) as { readonly name?: unknown; readonly message?: unknown };
  return typeof message === "string" ? `${name ?? "Error"}: ${message}` : formatText(cause);
}

function formatText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? String(value));
}
