import fc from "fast-check";
import { expect, test } from "vitest";
import { divideRows, type RowGroup } from "./row-groups.ts";

const keep = (groups: readonly RowGroup<number>[]) =>
  new Map(groups.flatMap(({ id, rows }) => rows.map((row) => [String(row), id])));

/** Rows are numbers here, of which the highest is the newest. */
const newestFirst = (rows: Iterable<number>) => [...new Set(rows)].sort((a, b) => b - a);

test("rows are divided into groups of 50 from the oldest, so that new rows concern one group", () => {
  const before = divideRows(newestFirst(Array(120).keys()), String, new Map());
  const after = divideRows(newestFirst(Array(180).keys()), String, keep(before));

  expect(before.map(({ id, rows }) => [id, rows.length])).toEqual([
    [2, 20],
    [1, 50],
    [0, 50],
  ]);
  expect(after.map(({ id, rows }) => [id, rows.length])).toEqual([
    [3, 30],
    [2, 50],
    [1, 50],
    [0, 50],
  ]);
});

test("each row stays in its group while others come anywhere and go, and the rows keep their order", () => {
  const change = fc.record({
    added: fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 200 }),
    kept: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
      let groups: readonly RowGroup<number>[] = [];
      for (const { added, kept } of changes) {
        const known = keep(groups);
        const left = groups.flatMap(({ rows }) => rows).filter((row) => row % 10 < kept);
        const rows = newestFirst([...left, ...added]);

        groups = divideRows(rows, String, known);

        expect(groups.flatMap(({ rows }) => rows)).toEqual(rows);
        const ids = groups.map(({ id }) => id);
        expect(ids).toEqual(newestFirst(ids));
        for (const [row, id] of keep(groups)) expect(known.get(row) ?? id).toBe(id);
      }
    }),
    { numRuns: 60 },
  );
});
