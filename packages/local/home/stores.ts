import { readdirSync, statSync } from "node:fs";
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
  /** Returns undefined if writes succeed. */
  whyNothingIsStored(): Promise<string | undefined>;
  stop(): Promise<void>;
}

/**
 * Opens the records and messages in this home, for this process only. Throws with advice if those of an earlier stack
 * are missing or damaged.
 */
export function openStores(home: string, clock: Clock): Stores {
  const path = join(home, "records.db");
  requireRecords(path, home);
  const database = openDatabase(path);
  return {
    table: sqliteTable(database),
    queue: sqliteQueue({ database, clock }),
    whyNothingIsStored: writeCheck({ database, clock }),
    stop: async () => database.close(),
  };
}

const madeLater = ["stack.json", "sealer.key", "mark", "runs", "volumes", "snapshots", "blobs"];

/** Refuses to create an empty table next to existing data: it would orphan disks and end runs. */
function requireRecords(path: string, home: string): void {
  const sign = isThere(path) ? undefined : madeLater.map((name) => join(home, name)).find(isThere);
  if (sign === undefined) return;
  throw new Error(
    `The records in ${path} are missing, and ${sign} is of an earlier stack.\n` +
      `Put them back from a copy. To give up all environments, disks and keys, move ${home} away: ` +
      "the next start makes a new one.",
  );
}

function isThere(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() ? readdirSync(path).some((name) => name !== "lost+found") : found !== undefined;
}
