import { useRef } from "react";

const groupRows = 50;

/** Rows that are drawn and laid out together. */
export interface RowGroup<Row> {
  readonly id: number;
  readonly rows: readonly Row[];
}

type Groups = ReadonlyMap<string, number>;

/**
 * Divides rows, of which the newest is first, so that a change of one row concerns its group alone. A row stays in its
 * group while others come and go. A row that changes its group is mounted again and loses the focus.
 */
export function useRowGroups<Row>(rows: readonly Row[], rowKey: (row: Row) => string): readonly RowGroup<Row>[] {
  const known = useRef<Groups>(new Map());
  const groups = divideRows(rows, rowKey, known.current);
  known.current = new Map(groups.flatMap(({ id, rows }) => rows.map((row) => [rowKey(row), id])));
  return groups;
}

/** New rows begin a group if the newest one is full. One among rows that were known joins theirs. */
export function divideRows<Row>(
  rows: readonly Row[],
  rowKey: (row: Row) => string,
  known: Groups,
): readonly RowGroup<Row>[] {
  const groups: { id: number; rows: Row[] }[] = [];
  const newestKnown = rows.findIndex((row) => known.has(rowKey(row)));
  for (const [index, row] of [...rows.entries()].toReversed()) {
    const last = groups.at(-1) ?? { id: 0, rows: [] };
    const isNewest = newestKnown < 0 || index < newestKnown;
    const next = isNewest && last.rows.length >= groupRows ? last.id + 1 : last.id;
    const id = Math.max(last.id, known.get(rowKey(row)) ?? next);
    if (id === last.id && groups.length > 0) last.rows.push(row);
    else groups.push({ id, rows: [row] });
  }
  return groups.map(({ id, rows }) => ({ id, rows: rows.toReversed() })).toReversed();
}
