import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe } from "vitest";
import { openDatabase } from "#sqlite/database.ts";
import { sqliteTable } from "#sqlite/table.ts";
import { twoMachineCases } from "#tests/conformance/two-machines.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";

describe("on the table in memory", () => twoMachineCases(async () => memoryTable()));

describe("on the table on SQLite", () => {
  const opened: (() => void)[] = [];

  afterEach(() => {
    for (const close of opened.splice(0)) close();
  });

  twoMachineCases(async () => {
    const home = mkdtempSync(join(tmpdir(), "berth-two-machines-"));
    const database = openDatabase(join(home, "records.db"));
    opened.push(() => {
      database.close();
      rmSync(home, { recursive: true });
    });
    return sqliteTable(database);
  });
});
