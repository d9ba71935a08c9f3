import { join } from "node:path";
import type { Clock } from "#core/ports/clock.ts";
import type { Queue } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { openDatabase } from "#sqlite/database.ts";
import { type Receiver, sqliteQueue } from "#sqlite/queue.ts";
import { sqliteTable } from "#sqlite/table.ts";
import { writeCheck } from "#sqlite/write-check.ts";

export interface Stores {
  readonly table: Table;
  readonly queue: Queue & Receiver;
  /** Undefined where it is. */
  whyNothingIsStored(): Promise<string | undefined>;
  stop(): Promise<void>;
}

/** The records and messages of the stack in this home, in its own process: nobody else can reach them. */
export function openStores(home: string, clock: Clock): Stores {
  const database = openDatabase(join(home, "records.db"));
  return {
    table: sqliteTable(database),
    queue: sqliteQueue({ database, clock }),
    whyNothingIsStored: writeCheck({ database, clock }),
    stop: async () => database.close(),
  };
}
