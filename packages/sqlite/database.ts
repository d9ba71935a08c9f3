import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue, type StatementSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import { Problem } from "#core/problem.ts";
import { lastSynced, lossOfLog, syncedMark } from "./journal.ts";
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
    -- Never used again: who is late acknowledges the message that he received and no other.
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
 * Opens the database in this file, or makes it. Throws, with the path and what to do, where the file is damaged or of
 * a later version.
 */
export function openDatabase(path: string, syncFile?: SyncFile): Database {
  const isNew = !existsSync(path);
  const sql = openFile(path);
  const commits = { newest: 0 };
  const mark = syncedMark(path, () => commits.newest);
  // Of records that were moved away.
  if (isNew) mark.remove();
  const disk = logOnDisk(`${path}-wal`, mark, syncFile);
  const problemOf = problemsOf(path);
  const batch = batchOf({ sql, disk, commits, problemOf });
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

/** What is stored beside the columns of a row, so that bytes which the disk changed are noticed at the next start. */
export function checksumOf(columns: readonly SQLInputValue[], bytes: Uint8Array | string = ""): number {
  return crc32(bytes, crc32(JSON.stringify(columns)));
}

function openFile(path: string): DatabaseSync {
  requireWholeFile(path);
  // Another program may look into the file; nothing waits for it for long, since nothing else goes on meanwhile.
  const sql = new DatabaseSync(path, { timeout: 200 });
  // The log is synced here (sync.ts), since SQLite would stop the whole process for each commit to do it.
  sql.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${tables} PRAGMA user_version = ${FORMAT};`);
  return sql;
}

/** Looks at what an earlier process left, and changes nothing of it: whoever is refused may still repair it. */
function requireWholeFile(path: string): void {
  let sql: DatabaseSync | undefined;
  try {
    requireLog(path);
    if (!existsSync(path)) return;
    sql = new DatabaseSync(path, { readOnly: true });
    requireFormat(sql, path);
    requireWhole(sql);
    requireCommits(sql, path);
    requireSums(sql, path);
  } catch (error) {
    throw isDamage(error) ? damaged(path, error) : error;
  } finally {
    sql?.close();
  }
}

function requireFormat(sql: DatabaseSync, path: string): void {
  const format = Number(sql.prepare("PRAGMA user_version").get()?.user_version);
  if (format <= FORMAT) return;
  throw new Error(`${path} was written by a later version of Berth (format ${format}, this one reads ${FORMAT}).`);
}

class Damage extends Error {
  /** What else than a copy helps, where it is known. */
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** One row that is not what was stored; everything else is. */
function damagedRow(path: string, table: "items" | "messages", name: string): Damage {
  const bar = name.lastIndexOf("|");
  const [pk, sk] = [name.slice(0, bar), name.slice(bar + 1)].map((text) => text.replaceAll("'", "''"));
  const which = table === "items" ? `pk = '${pk}' AND sk = '${sk}'` : `id = ${name}`;
  return new Damage(
    `${name} of ${table} is not what was stored`,
    `give this one up, and what it names (docs/operate.md#a-damaged-record): sqlite3 ${path} "DELETE FROM ${table} WHERE ${which}"`,
  );
}

function requireLog(path: string): void {
  const loss = lossOfLog(path);
  if (loss !== undefined) throw new Damage(loss);
}

function requireWhole(sql: DatabaseSync): void {
  const found = sql.prepare("PRAGMA integrity_check(1)").get()?.integrity_check;
  if (found !== "ok") throw new Damage(String(found));
}

/** SQLite takes a database without its log for one that is whole. */
function requireCommits(sql: DatabaseSync, path: string): void {
  const synced = lastSynced(path) ?? 0;
  const isCounted = sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'commits'").get() !== undefined;
  const found = isCounted ? Number(sql.prepare("SELECT n FROM commits").get()?.n ?? 0) : 0;
  if (found >= synced) return;
  throw new Damage(
    `the last ${synced - found} commits are not in it, and ${path}-wal does not hold them`,
    `go on without them, though they were answered: rm ${path}-synced`,
  );
}

/** SQLite finds broken pages, not bytes that changed within a value. */
function requireSums(sql: DatabaseSync, path: string): void {
  for (const [table, name] of [
    ["items", "pk || '|' || sk"],
    ["messages", "id"],
  ] as const) {
    if (!sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table)) continue;
    const rows = sql.prepare(`SELECT *, ${name} AS name FROM ${table}`).iterate() as Iterable<Row>;
    for (const { sum, item, id: _, name, ...columns } of rows) {
      const found = checksumOf(Object.values(columns) as SQLInputValue[], (item ?? "") as Uint8Array | string);
      if (found !== sum) throw damagedRow(path, table, String(name));
    }
  }
}

type Row = Record<string, SQLOutputValue>;

function isDamage(error: unknown): boolean {
  return error instanceof Damage || [CORRUPT, NOT_A_DATABASE].includes(codeOf(error) ?? 0);
}

function damaged(path: string, error: unknown): Error {
  const detail = error instanceof Error ? error.message : String(error);
  const logs = `${path}-wal, ${path}-shm and ${path}-synced`;
  const remedy =
    (error instanceof Damage ? error.remedy : undefined) ?? `try: sqlite3 ${path} .recover | sqlite3 ${path}.recovered`;
  return new Error(
    `The records in ${path} are damaged: ${detail}.\n` +
      `Put back a copy of it and remove ${logs}, which belong to the damaged one; or ${remedy}\n` +
      "If you move all four away the stack starts with none: environments, disks and keys are then lost.",
  );
}

interface Batch {
  add<Made>(work: () => Made, isDurable: boolean): Promise<Made>;
  refusal(): string | undefined;
  end(): void;
}

interface Open {
  readonly isDurable: boolean;
  run(): void;
  settle(): void;
  fail(error: unknown): void;
}

interface BatchParts {
  readonly sql: DatabaseSync;
  readonly disk: LogOnDisk;
  /** The number of the newest one that somebody waits for. */
  readonly commits: { newest: number };
  readonly problemOf: (error: unknown) => unknown;
}

/** All that one turn of the event loop writes is one transaction. */
function batchOf({ sql, disk, commits, problemOf }: BatchParts): Batch {
  let open: Open[] = [];
  let refusal: Problem | undefined;
  let newest: string | undefined;
  const begin = sql.prepare("BEGIN IMMEDIATE");
  const end = sql.prepare("COMMIT");
  const count = sql.prepare("UPDATE commits SET n = n + 1 RETURNING n");
  const commit = () => {
    const works = open;
    open = [];
    if (works.length === 0) return;
    const durable = works.filter(({ isDurable }) => isDurable);
    try {
      begin.run();
      for (const work of works) work.run();
      const number = durable.length > 0 ? Number(count.get()?.n) : commits.newest;
      end.run();
      commits.newest = number;
    } catch (error) {
      if (sql.isTransaction) sql.exec("ROLLBACK");
      const problem = problemOf(error);
      newest = String(problem instanceof Problem ? problem.message : problem);
      for (const work of works) work.fail(problem);
      return;
    }
    newest = undefined;
    for (const work of works) if (!work.isDurable) work.settle();
    if (durable.length === 0) return;
    disk.sync((error) => {
      // What the kernel could not write it may count as written at the next sync (fsync(2)).
      if (error) refusal ??= new Problem("unavailable", NOT_SYNCED, { cause: error, retryAfterSeconds: 60 });
      for (const work of durable) error ? work.fail(refusal) : work.settle();
    });
  };
  return {
    add: (work, isDurable) =>
      new Promise((resolve, reject) => {
        if (refusal) throw refusal;
        if (open.length === 0) setImmediate(commit);
        open.push({ isDurable, ...openOf(work, resolve, reject) });
      }),
    refusal: () => refusal?.message ?? newest,
    end() {
      commit();
      refusal = new Problem("unavailable", "The stack is being stopped");
    },
  };
}

const NOT_SYNCED = "The disk of this stack failed while something was stored: start the stack again";

/** What it answers, or why it refused, is told only when the transaction that it looked at is kept. */
function openOf<Made>(
  work: () => Made,
  resolve: (made: Made) => void,
  reject: (error: unknown) => void,
): Omit<Open, "isDurable"> {
  let settle = () => {};
  return {
    run() {
      try {
        const made = work();
        settle = () => resolve(made);
      } catch (error) {
        if (codeOf(error) !== undefined) throw error;
        settle = () => reject(error);
      }
    },
    settle: () => settle(),
    fail: reject,
  };
}

// https://www.sqlite.org/rescode.html; the low byte is the kind, the rest says more.
const [BUSY, LOCKED, READ_ONLY, IO_ERROR, CORRUPT, FULL, CANNOT_OPEN, NOT_A_DATABASE] = [5, 6, 8, 10, 11, 13, 14, 26];

const reasons: Readonly<Record<number, string>> = {
  [BUSY]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [LOCKED]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [READ_ONLY]: "The disk of this stack is read-only: nothing can be stored",
  [IO_ERROR]: "The disk of this stack cannot be read or written",
  [CORRUPT]: "The records of this stack are damaged: stop it and read what its next start says",
  [FULL]: "The disk of this stack is full: nothing can be stored until there is room",
  [CANNOT_OPEN]: "The records of this stack cannot be opened any more",
  [NOT_A_DATABASE]: "The records of this stack are damaged: stop it and read what its next start says",
};

/** What to tell of an error of the database in this file; of any other, itself. */
function problemsOf(path: string): (error: unknown) => unknown {
  return (error) => {
    const code = codeOf(error);
    const reason = reasons[code === IO_ERROR && isReadOnly(path) ? READ_ONLY : (code ?? 0)];
    return reason === undefined ? error : new Problem("unavailable", reason, { cause: error, retryAfterSeconds: 5 });
  };
}

/**
 * Whether the disk became read-only while the file was open, as Linux makes one that has errors: to SQLite that is a write
 * which failed. The log is asked, since closing the database's own file would take SQLite's locks from it (fcntl(2)).
 */
function isReadOnly(path: string): boolean {
  try {
    closeSync(openSync(`${path}-wal`, "r+"));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}

/** SQLite's kind of error; undefined for an error that is none of SQLite's. */
function codeOf(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}
