import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Table } from "#core/ports/table.ts";
import { tableConformance } from "#tests/conformance/table.ts";
import { type Database, openDatabase } from "./database.ts";
import { sqliteTable } from "./table.ts";

let home: string;
let database: Database;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), "berth-table-"));
  database = openDatabase(join(home, "records.db"));
});

afterAll(() => {
  database.close();
  rmSync(home, { recursive: true });
});

describe("the table on SQLite", () => {
  tableConformance(async () => sqliteTable(database));

  const line = { index: "waiting", partition: "h100", from: "1#a", to: "1#b" } as const;
  it.each<[string, (table: Table) => Promise<unknown>]>([
    ["counting those who wait", (table) => table.count({ ...line, limit: 1000 })],
    ["planning for those who wait", (table) => table.query(line)],
    ["reading due items", (table) => table.query({ index: "due", partition: "3", to: 1_000 })],
    ["listing an owner's items", (table) => table.query({ pk: "owner#a#job", newestFirst: true, brief: true })],
  ])("%s reads an index and no items, which are a hundred times as large", async (_, read) => {
    const names: string[] = [];
    const prepare = (sql: string) => {
      names.push(sql);
      return database.prepare(sql);
    };

    await read(sqliteTable({ ...database, prepare }));

    const plan = database.prepare(`EXPLAIN QUERY PLAN ${names.at(-1)}`).all() as { detail: string }[];
    const reads = plan.map(({ detail }) => detail).filter((detail) => /\bitems\b/.test(detail));
    expect(reads).toEqual([expect.stringContaining("USING COVERING INDEX")]);
  });
});
