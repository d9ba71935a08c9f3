import measure from "fast-string-truncated-width";
import { printable } from "./text.ts";

/** Returns how many columns of a terminal a text takes. Letters of East Asia and emoji take two. */
function columnsOf(text: string): number {
  return measure(text).width;
}

const characters = new Intl.Segmenter("en", { granularity: "grapheme" });

/** Cuts a line, and marks that it was cut. No character is split. */
export function cut(line: string, columns: number): string {
  if (columns === Number.POSITIVE_INFINITY) return line;
  let width = 0;
  let end = 0;
  for (const { segment, index } of characters.segment(line)) {
    width += columnsOf(segment);
    if (width > columns) return `${line.slice(0, end)}…`;
    // One column is left for the mark.
    if (width < columns) end = index + segment.length;
  }
  return line;
}

/** Breaks lines between words. The rest of a broken line keeps its indentation. */
export function wrapWords(text: string, columns: number): string {
  return text
    .split("\n")
    .flatMap((line) => (columnsOf(line) <= columns ? [line] : wrapLine(line, columns)))
    .join("\n");
}

function wrapLine(line: string, columns: number): string[] {
  const indent = /^ */.exec(line)?.[0] ?? "";
  const lines: string[] = [];
  let current = indent;
  for (const word of line.trim().split(" ")) {
    const isFull = current !== indent && columnsOf(`${current}${word}`) > columns;
    if (isFull) lines.push(current.trimEnd());
    current = isFull ? `${indent}${word} ` : `${current}${word} `;
  }
  return [...lines, current.trimEnd()];
}

const gap = "  ";

/** Lays rows out in columns. Where a terminal is too narrow, the widest columns are cut. */
export function table(rows: readonly (readonly string[])[], columns = Number.POSITIVE_INFINITY): string {
  const clean = rows.map((row) => row.map((cell) => printable(cell)));
  const widths = (clean[0] ?? []).map((_, at) => Math.max(...clean.map((row) => columnsOf(row[at] ?? ""))));
  const fitting = narrowed(widths, columns - gap.length * (widths.length - 1));
  const lines = clean.map((row) => row.map((cell, at) => pad(cell, fitting[at] ?? 0)).join(gap));
  return lines.map((line) => `${cut(line.trimEnd(), columns)}\n`).join("");
}

const leastWidth = 8;

/** Narrows the widest column again and again, down to 8. */
function narrowed(wanted: readonly number[], columns: number): readonly number[] {
  const widths = wanted.map((width) => Math.min(width, Math.max(columns, leastWidth)));
  for (;;) {
    const widest = Math.max(...widths);
    if (widths.reduce((sum, width) => sum + width, 0) <= columns || widest <= leastWidth) return widths;
    widths[widths.lastIndexOf(widest)] = widest - 1;
  }
}

function pad(cell: string, width: number): string {
  const shown = columnsOf(cell) <= width ? cell : cut(cell, width);
  return shown + " ".repeat(Math.max(0, width - columnsOf(shown)));
}

/** Returns rows without the columns that hold nothing but their header. */
export function withoutEmptyColumns(rows: readonly (readonly string[])[]): string[][] {
  const [header = [], ...body] = rows;
  const hasContent = header.map((_, at) => body.some((row) => (row[at] ?? "") !== ""));
  return rows.map((row) => row.filter((_, at) => hasContent[at]));
}
