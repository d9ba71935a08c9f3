import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe } from "vitest";
import { openDatabase } from "#sqlite/database.ts";
import { sqliteTable } from "#sqlite/table.ts";
import { severalMachineCases } from "#tests/conformance/several-machines.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";

describe("on the table in memory", () => severalMachineCases(async () => memoryTable(), [2, 3, 8]));

describe("on the table on SQLite", () => {
  const opened: (() => void)[] = [];

  afterEach(() => {
    for (const close of opened.splice(0)) close();
  });

  const open = async () => {
    const home = mkdtempSync(join(tmpdir(), "berth-several-machines-"));
    const database = openDatabase(join(home, "records.db"));
    opened.push(() => {
      database.close();
      rmSync(home, { recursive: true });
    });
    return sqliteTable(database);
  };
  severalMachineCases(open, [8]);
});
