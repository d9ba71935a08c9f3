import { styleText } from "node:util";
import type { Row } from "../measure.ts";

/** Formats the rows as a table, with a verdict for each row that has a limit. */
export function formatTable(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.name,
    amount(row.value, row.unit),
    getLimit(row),
    getVerdict(row),
    row.note ?? "",
  ]);
  const table = [["measure", "value", "limit", "", ""], ...cells];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...table.map((line) => line[column]?.length ?? 0)));
  return table.map((line) => formatLine(line, widths)).join("\n");
}

export function isOver({ value, limit }: Row): boolean {
  return limit !== undefined && value > limit;
}

function formatLine(line: readonly string[], widths: readonly number[]): string {
  const padded = line.map((cell, column) => {
    const width = widths[column] ?? 0;
    return column === 1 || column === 2 ? cell.padStart(width) : cell.padEnd(width);
  });
  const text = padded.join("  ").trimEnd();
  return line[3] === "over" ? styleText("red", text) : text;
}

function getLimit({ limit, unit }: Row): string {
  return limit === undefined ? "" : `≤ ${amount(limit, unit)}`;
}

function getVerdict(row: Row): string {
  if (row.limit === undefined) return "";
  return isOver(row) ? "over" : "ok";
}

function amount(value: number, unit: string): string {
  const digits = Number.isInteger(value) || value >= 100 ? 0 : 2;
  return `${value.toLocaleString("en-US", { maximumFractionDigits: digits })} ${unit}`.trimEnd();
}
