import { existsSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#core/ports/clock.ts";
import { createBatch } from "./batch.ts";
import { requireWholeFile } from "./damage.ts";
import { syncedMark } from "./journal.ts";
import { createProblemMapper, unopened } from "./sqlite-error.ts";
import { type LogOnDisk, logOnDisk, type SyncFile } from "./sync.ts";

/** File of an embedded stack that holds records and messages. */
export interface Database {
  readonly path: string;
  prepare(sql: string): StatementSync;
  /**
   * Runs `work` in a transaction with all writes of this turn of the event loop, and resolves when it is on the disk.
   * If `work` throws, it must not have written yet, and only its own call fails. Throws `unavailable` if nothing was
   * stored. After a failed sync the state is unknown, and all writes fail until the file is opened again.
   */
  write<Made>(work: () => Made): Promise<Made>;
  /** Like `write`, but does not wait for the disk: a power cut may lose it, the end of this process does not. */
  writeSoon<Made>(work: () => Made): Promise<Made>;
  /** Runs a read. Throws `unavailable` if the file cannot be read. */
  read<Made>(work: () => Made): Made;
  /** Returns why the newest transaction failed. Returns undefined if it succeeded or is in progress. */
  refusal(): string | undefined;
  close(): void;
}

/** Grows with each change of the tables that older versions cannot read. */
const FORMAT = 1;

const tables = `
  CREATE TABLE IF NOT EXISTS items (
    pk TEXT NOT NULL,
    sk TEXT NOT NULL,
    writer TEXT NOT NULL,
    due_shard TEXT,
    due_at REAL,
    wait_pool TEXT,
    wait_order TEXT,
    waiting TEXT,
    brief TEXT NOT NULL,
    sum INTEGER NOT NULL,
    item BLOB NOT NULL,
    PRIMARY KEY (pk, sk)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS brief ON items (pk, sk, brief);
  CREATE INDEX IF NOT EXISTS due ON items (due_shard, due_at, pk, sk) WHERE due_shard IS NOT NULL;
  CREATE INDEX IF NOT EXISTS line ON items (wait_pool, wait_order, pk, sk, waiting) WHERE wait_pool IS NOT NULL;
  DROP INDEX IF EXISTS waiting;
  CREATE TABLE IF NOT EXISTS messages (
    -- Ids are never reused, so a late acknowledgement removes no other message.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    "group" TEXT,
    look TEXT NOT NULL,
    visible_at REAL NOT NULL,
    sum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tried (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  -- Number of acknowledged commits, which shows whether a lost log took some of them along.
  CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO commits VALUES (1, 0);
`;

/** Opens or creates the database. Throws, with a remedy, if it is damaged, of a later version, or on a full disk. */
export function openDatabase(path: string, syncFile?: SyncFile): Database {
  const isNew = !existsSync(path);
  const commits = { newest: 0 };
  const mark = syncedMark(path, () => commits.newest);
  const { sql, disk } = openFiles(path, isNew, () => {
    // A left mark belongs to records that were moved away.
    if (isNew) mark.remove();
    return logOnDisk(`${path}-wal`, mark, syncFile);
  });
  const problemOf = createProblemMapper(path);
  const batch = createBatch({ sql, disk, commits, problemOf });
  const statements = new Map<string, StatementSync>();
  return {
    path,
    prepare(text) {
      const statement = statements.get(text) ?? sql.prepare(text);
      statements.set(text, statement);
      return statement;
    },
    write: (work) => batch.add(work, true),
    writeSoon: (work) => batch.add(work, false),
    read(work) {
      try {
        return work();
      } catch (error) {
        throw problemOf(error);
      }
    },
    refusal: () => batch.refusal(),
    close() {
      batch.end();
      disk.close();
      mark.remove();
      sql.close();
    },
  };
}

function openFiles(path: string, isNew: boolean, openLog: () => LogOnDisk): { sql: DatabaseSync; disk: LogOnDisk } {
  try {
    requireWholeFile(path, FORMAT);
    // Another program may read the file. Waits are short, because they block the event loop.
    const sql = new DatabaseSync(path, { timeout: 200 });
    return undoneOnError(
      () => ({ sql: withTables(sql), disk: openLog() }),
      () => {
        sql.close();
        // A new file without its tables would count as damaged.
        if (isNew) rmSync(path, { force: true });
      },
    );
  } catch (error) {
    throw unopened(path, error);
  }
}

function withTables(sql: DatabaseSync): DatabaseSync {
  // sync.ts syncs the log: SQLite would block the event loop for each commit.
  sql.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${tables} PRAGMA user_version = ${FORMAT};`);
  return sql;
}

function undoneOnError<Made>(work: () => Made, undo: () => void): Made {
  try {
    return work();
  } catch (error) {
    undo();
    throw error;
  }
}

/** Size of a record with its message, roughly, so that a small free space does not count as room. */
const TRIED_BYTES = 32 * 1024;
const TRIED_EVERY_MS = 5_000;
const TRIED_AGAIN_MS = 1_000;
const PATIENCE_MS = 500;

interface WriteCheckOptions {
  readonly database: Database;
  readonly clock: Pick<Clock, "monotonic">;
}

/** Returns a check that reports why nothing can be stored, by a test write now and then. */
export function writeCheck({ database, clock }: WriteCheckOptions): () => Promise<string | undefined> {
  const statement = database.prepare("INSERT OR REPLACE INTO tried VALUES (1, zeroblob(?))");
  let refusal: string | undefined;
  let triedAt = Number.NEGATIVE_INFINITY;
  let trying: Promise<void> | undefined;

  const tryWrite = async () => {
    triedAt = clock.monotonic();
    refusal = await database
      .write(() => statement.run(TRIED_BYTES))
      .then(
        () => undefined,
        (error: Error) => error.message,
      );
    trying = undefined;
  };
  return async () => {
    const isRefused = (refusal ?? database.refusal()) !== undefined;
    const isDue = clock.monotonic() - triedAt >= (isRefused ? TRIED_AGAIN_MS : TRIED_EVERY_MS);
    if (isDue) trying ??= tryWrite();
    if (trying !== undefined) await Promise.race([trying, sleep(PATIENCE_MS, undefined, { ref: false })]);
    return refusal ?? database.refusal();
  };
}
