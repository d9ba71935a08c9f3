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
  /** Undefined where it is. */
  whyNothingIsStored(): Promise<string | undefined>;
  stop(): Promise<void>;
}

/**
 * The records and messages of the stack in this home, in its own process: nobody else can reach them. Throws, with what to
 * do, where those of an earlier stack are missing or damaged.
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

/** What a stack makes in its home once it has records. */
const madeLater = ["stack.json", "sealer.key", "mark", "runs", "volumes", "snapshots", "blobs"];

/** Beside an empty table disks would be nobody's and runs would be ended, and nobody would have been asked. */
function requireRecords(path: string, home: string): void {
  const sign = isThere(path) ? undefined : madeLater.map((name) => join(home, name)).find(isThere);
  if (sign === undefined) return;
  throw new Error(
    `The records in ${path} are missing, and ${sign} is of an earlier stack.\n` +
      `Put them back from a copy. To give up all environments, disks and keys, move ${home} away: ` +
      "the next start makes a new one.",
  );
}

/** A directory is where something is in it. */
function isThere(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() ? readdirSync(path).some((name) => name !== "lost+found") : found !== undefined;
}
