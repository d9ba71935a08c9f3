import measure from "fast-string-truncated-width";
import { told } from "./text.ts";

/** Returns the width of a text in terminal columns. Letters of East Asia and emoji take two. */
export function countColumns(text: string): number {
  return measure(text).width;
}

/** Loaded on demand, because its data takes 20 ms and only long lines need it. */
let segmenter: Intl.Segmenter | undefined;

/** Cuts a line, and marks that it was cut. No character is split. */
export function cut(line: string, columns: number): string {
  if (countColumns(line) <= columns) return line;
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  let width = 0;
  let end = 0;
  for (const { segment, index } of segmenter.segment(line)) {
    width += countColumns(segment);
    if (width > columns) return `${line.slice(0, end)}…`;
    // One column is left for the mark.
    if (width < columns) end = index + segment.length;
  }
  return line;
}

/** Breaks lines between words. The rest of a broken line keeps its indentation. */
export function wrapText(text: string, columns: number): string {
  return text
    .split("\n")
    .flatMap((line) => (countColumns(line) <= columns ? [line] : wrapLine(line, columns)))
    .join("\n");
}

/** A command that is to be copied, a number with its unit or its noun, or a word. */
const unbroken = /(?:(?<=\bwith: )\S.*?(?=\.? *$|\. )\.?|\d+ (?:min|h|s|days|GB|GPUs)\b\S*|\S+ #\d+\S*|\S+) */g;

function wrapLine(line: string, columns: number): string[] {
  const indent = /^ */.exec(line)?.[0] ?? "";
  const lines: string[] = [];
  let current = indent;
  for (const word of wordsThatFit(line, columns - indent.length)) {
    const isFull = current !== indent && countColumns(`${current}${word.trimEnd()}`) > columns;
    if (isFull) lines.push(current.trimEnd());
    current = isFull ? `${indent}${word}` : `${current}${word}`;
  }
  return [...lines, current.trimEnd()];
}

function wordsThatFit(line: string, columns: number): string[] {
  const words = line.match(unbroken) ?? [];
  return words.flatMap((word) => (countColumns(word.trimEnd()) > columns ? (word.match(/\S+ */g) ?? []) : [word]));
}

const gap = "  ";

export interface TableOptions {
  /** Headers of the columns that may be cut. By default, these are the widest columns. */
  readonly cut?: readonly string[];
  /** Headers of the columns that are left out of a narrow terminal, one after another. */
  readonly leaveOut?: readonly string[];
  /** The last column is broken between words instead of being cut. */
  readonly wraps?: boolean;
}

/** Lays rows out in columns. Where a terminal is too narrow, columns are left out or cut. */
export function table(
  rows: readonly (readonly string[])[],
  columns = Number.POSITIVE_INFINITY,
  { cut: elastic = [], leaveOut = [], wraps = false }: TableOptions = {},
): string {
  const clean = rows.map((row) => row.map((cell) => told`${cell}`));
  const [header = []] = clean;
  const widths = header.map((_, at) => Math.max(...clean.map((row) => countColumns(row[at] ?? ""))));
  const least = widths.map((width, at) => (elastic.includes(header[at] ?? "") ? Math.min(width, leastNamed) : width));
  const [first, ...others] = leaveOut.filter((name) => header.includes(name));
  if (first !== undefined && getWidth(least) > columns) {
    const rest = clean.map((row) => row.filter((_, at) => header[at] !== first));
    return table(rest, columns, { cut: elastic, leaveOut: others, wraps });
  }
  if (wraps) return textRows(clean, columns);
  const fitting = narrowed(widths, getWidth(least) > columns ? widths.map(() => leastWidth) : least, columns);
  const lines = clean.map((row) => row.map((cell, at) => pad(cell, fitting[at] ?? 0)).join(gap));
  return lines.map((line) => `${cut(line.trimEnd(), columns)}\n`).join("");
}

/** Least widths of columns that may be cut: those that are named, and all others. */
const leastNamed = 12;
const leastWidth = 8;

function getWidth(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, gap.length * (widths.length - 1));
}

/** Narrows the widest column that may be narrower, again and again. */
function narrowed(wanted: readonly number[], least: readonly number[], columns: number): readonly number[] {
  const widths = wanted.map((width) => Math.min(width, Math.max(columns, leastWidth)));
  while (getWidth(widths) > columns) {
    const widest = Math.max(...widths.filter((width, at) => width > (least[at] ?? 0)));
    if (widest === Number.NEGATIVE_INFINITY) break;
    const at = widths.findLastIndex((width, at) => width === widest && width > (least[at] ?? 0));
    widths[at] = widest - 1;
  }
  return widths;
}

/** Lays out rows of cells and a text. The text wraps between words and stays in its column. */
export function textRows(rows: readonly (readonly string[])[], columns = Number.POSITIVE_INFINITY): string {
  const last = (rows[0]?.length ?? 1) - 1;
  const clean = rows.map((row) => row.map((cell) => told`${cell}`));
  const widths = (clean[0] ?? [])
    .slice(0, last)
    .map((_, at) => Math.max(...clean.map((row) => countColumns(row[at] ?? ""))));
  const indent = " ".repeat(getWidth([...widths, 0]));
  const room = Math.max(leastNamed, columns - indent.length);
  return clean
    .map((row) => {
      const cells = widths.map((width, at) => pad(row[at] ?? "", width)).join(gap);
      // A longer word, such as an address, is not broken, so the terminal wraps it and a user can copy it whole.
      const text = wrapText(row[last] ?? "", room).replaceAll("\n", `\n${indent}`);
      return `${[cells, ""].join(gap)}${text}`.trimEnd();
    })
    .map((line) => `${line}\n`)
    .join("");
}

function pad(cell: string, width: number): string {
  const shown = countColumns(cell) <= width ? cell : cut(cell, width);
  return shown + " ".repeat(Math.max(0, width - countColumns(shown)));
}

/** Returns rows without the columns that hold nothing but their header. */
export function withoutEmptyColumns(rows: readonly (readonly string[])[]): string[][] {
  const [header = [], ...body] = rows;
  const hasContent = header.map((_, at) => body.some((row) => (row[at] ?? "") !== ""));
  return rows.map((row) => row.filter((_, at) => hasContent[at]));
}
