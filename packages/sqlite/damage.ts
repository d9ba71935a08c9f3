import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";
import { crc32 } from "node:zlib";
import { lastSynced, lossOfLog } from "./journal.ts";
import { isDamagedFile } from "./sqlite-error.ts";

/** Checks an earlier process's file without a change. Throws, with a remedy, if it is damaged or too new. */
export function requireWholeFile(path: string, newestFormat: number): void {
  let sql: DatabaseSync | undefined;
  try {
    requireLog(path);
    if (!existsSync(path)) return;
    sql = new DatabaseSync(path, { readOnly: true });
    requireFormat(sql, path, newestFormat);
    requireWhole(sql);
    requireCommits(sql, path);
    requireTables(sql);
    requireSums(sql, path);
  } catch (error) {
    throw isDamage(error) ? damaged(path, error) : error;
  } finally {
    sql?.close();
  }
}

function requireFormat(sql: DatabaseSync, path: string, newest: number): void {
  const format = Number(sql.prepare("PRAGMA user_version").get()?.user_version);
  if (format <= newest) return;
  throw new Error(`${path} was written by a later version of Berth (format ${format}, this one reads ${newest}).`);
}

class Damage extends Error {
  /** Remedy other than restoring a copy, if there is one. */
  readonly remedy: string | undefined;

  constructor(message: string, remedy?: string) {
    super(message);
    this.remedy = remedy;
  }
}

/** Returns the error for one damaged row in an otherwise intact file. */
function damagedRow(path: string, table: "items" | "messages", name: string): Damage {
  const bar = name.lastIndexOf("|");
  const [pk, sk] = [name.slice(0, bar), name.slice(bar + 1)].map((text) => text.replaceAll("'", "''"));
  const which = table === "items" ? `pk = '${pk}' AND sk = '${sk}'` : `id = ${name}`;
  return new Damage(
    `${name} of ${table} has changed since it was stored`,
    `delete this record, and what it names (docs/operate.md#a-damaged-record): sqlite3 ${path} "DELETE FROM ${table} WHERE ${which}"`,
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

/** SQLite treats a truncated file as a new one, so check that the table exists. */
function requireTables(sql: DatabaseSync): void {
  const found = sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'items'").get();
  if (!found) throw new Damage("its table of records is gone");
}

/** SQLite accepts a database without its log, so compare the number of commits. */
function requireCommits(sql: DatabaseSync, path: string): void {
  const synced = lastSynced(path) ?? 0;
  const isCounted = sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'commits'").get() !== undefined;
  const found = isCounted ? Number(sql.prepare("SELECT n FROM commits").get()?.n ?? 0) : 0;
  if (found >= synced) return;
  throw new Damage(
    `the last ${synced - found} commits are missing from it and from ${path}-wal`,
    `go on without them, although they were acknowledged: rm ${path}-synced`,
  );
}

/** Compares the checksum of each row. SQLite detects broken pages, but not changed bytes within a value. */
function requireSums(sql: DatabaseSync, path: string): void {
  for (const [table, name] of [
    ["items", "pk || '|' || sk"],
    ["messages", "id"],
  ] as const) {
    if (!sql.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table)) continue;
    const rows = sql.prepare(`SELECT *, ${name} AS name FROM ${table}`).iterate() as Iterable<Row>;
    for (const { sum, item, id: _, name, ...columns } of rows) {
      const found = computeChecksum(Object.values(columns) as SQLInputValue[], (item ?? "") as Uint8Array | string);
      if (found !== sum) throw damagedRow(path, table, String(name));
    }
  }
}

type Row = Record<string, SQLOutputValue>;

function isDamage(error: unknown): boolean {
  return error instanceof Damage || isDamagedFile(error);
}

function damaged(path: string, error: unknown): Error {
  const detail = error instanceof Error ? error.message : String(error);
  const logs = `${path}-wal, ${path}-shm and ${path}-synced`;
  const remedy =
    (error instanceof Damage ? error.remedy : undefined) ?? `try: sqlite3 ${path} .recover | sqlite3 ${path}.recovered`;
  return new Error(
    `The records in ${path} are damaged: ${detail}.\n` +
      `Restore a copy of it and remove ${logs}, which belong to the damaged file; or ${remedy}\n` +
      `To discard all environments, disks and keys, move ${dirname(path)} away: the next start creates a new one.`,
  );
}

/** Returns the checksum of a row, so that the next start detects bytes that the disk has changed. */
export function computeChecksum(columns: readonly SQLInputValue[], bytes: Uint8Array | string = ""): number {
  return crc32(bytes, crc32(JSON.stringify(columns)));
}
