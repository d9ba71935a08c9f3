import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { IndexQuery, PartitionQuery } from "#core/context.ts";
import { tableConformance } from "#testing/conformance/table.ts";
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
  it.each<[string, PartitionQuery | IndexQuery]>([
    ["counting those who wait", { ...line, limit: 1000, keysOnly: true }],
    ["planning for those who wait", line],
    ["asking what is due", { index: "due", partition: "3", to: 1_000 }],
    ["listing what an owner has", { pk: "owner#a#job", newestFirst: true, brief: true }],
  ])("%s reads an index and no items, which are a hundred times as large", async (_, query) => {
    const asked: string[] = [];
    const prepare = (sql: string) => {
      asked.push(sql);
      return database.prepare(sql);
    };

    await sqliteTable({ ...database, prepare }).query(query);

    const plan = database.prepare(`EXPLAIN QUERY PLAN ${asked.at(-1)}`).all();
    expect(plan).toEqual([expect.objectContaining({ detail: expect.stringContaining("USING COVERING INDEX") })]);
  });
});
