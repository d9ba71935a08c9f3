import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
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
});
