import { existsSync, rmSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { createBatch } from "./batch.ts";
import { requireWholeFile } from "./damage.ts";
import { syncedMark } from "./journal.ts";
import { createProblemMapper, unopened } from "./sqlite-error.ts";
import { type LogOnDisk, logOnDisk, type SyncFile } from "./sync.ts";

/** The one file of an embedded stack in which records and messages are kept. */
export interface Database {
  readonly path: string;
  /** A statement, compiled once. */
  prepare(sql: string): StatementSync;
  /**
   * Runs `work` in a transaction together with all that is written in this turn of the event loop, and answers when
   * the transaction is on the disk. `work` is synchronous; where it throws it must not have written anything yet, and
   * only its own answer is that error. Throws `unavailable` where nothing could be stored, and then nothing was; where
   * the disk failed as it was synced nobody knows, and nothing is stored any more until the file is opened again.
   */
  write<Made>(work: () => Made): Promise<Made>;
  /** The same for what may be lost by a power cut, though not by the end of this process: it does not wait for the disk. */
  writeSoon<Made>(work: () => Made): Promise<Made>;
  /** Runs a read; throws `unavailable` where the file cannot be read. */
  read<Made>(work: () => Made): Made;
  /** Why the newest transaction could not be stored; undefined where it was, or is on its way. */
  refusal(): string | undefined;
  /** Commits what is still open. Later writes are refused. */
  close(): void;
}

/** Grows with each change of the tables below that an older version could not read. */
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
    -- Never used again: a late acknowledgement removes the message that was received and no other.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    queue TEXT NOT NULL,
    "group" TEXT,
    look TEXT NOT NULL,
    visible_at REAL NOT NULL,
    sum INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS tried (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;
  -- How many commits were waited for: a log that is gone takes them along, and nothing else would tell.
  CREATE TABLE IF NOT EXISTS commits (id INTEGER PRIMARY KEY CHECK (id = 1), n INTEGER NOT NULL) STRICT;
  INSERT OR IGNORE INTO commits VALUES (1, 0);
`;

/**
 * Opens the database in this file, or makes it. Throws, with the path and what to do, where the file is damaged, of
 * a later version, or on a full disk.
 */
export function openDatabase(path: string, syncFile?: SyncFile): Database {
  const isNew = !existsSync(path);
  const commits = { newest: 0 };
  const mark = syncedMark(path, () => commits.newest);
  const { sql, disk } = openFiles(path, isNew, () => {
    // Of records that were moved away.
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
    // Another program may look into the file; nothing waits for it for long, since nothing else goes on meanwhile.
    const sql = new DatabaseSync(path, { timeout: 200 });
    return undoneOnError(
      () => ({ sql: withTables(sql), disk: openLog() }),
      () => {
        sql.close();
        // A new file without its tables would pass for damaged.
        if (isNew) rmSync(path, { force: true });
      },
    );
  } catch (error) {
    throw unopened(path, error);
  }
}

function withTables(sql: DatabaseSync): DatabaseSync {
  // The log is synced here (sync.ts), since SQLite would stop the whole process for each commit to do it.
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
