import type { Context } from "../context.ts";
import type { Key, Stored } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { FORMAT } from "./unreadable.ts";
import { NO_WRITER } from "./writers.ts";

export type Writing = Pick<Context<"table">, "table" | "ids">;

/** More than the puts that other writers can make while an SDK repeats a put whose response was lost. */
const KEPT_WRITERS = 8;

function writtenBy<Record extends Stored>(record: Record, token: string): Record {
  return { ...record, format: FORMAT, writers: [token, ...listWriters(record)].slice(0, KEPT_WRITERS) };
}

/** Returns the item's writers, newest first. Writers that were edited by hand may be invalid. */
function listWriters({ writers }: Stored): readonly string[] {
  return writers.filter((writer: unknown) => typeof writer === "string");
}

/**
 * Writes a record if it is unchanged since it was read, or absent if `writers` is empty. Returns the stored record, or
 * undefined on a conflict. An SDK repeats a put whose response was lost, and the repeat meets the put's own effect. So
 * a conflict whose item has this put's token is a success (docs/architecture/consistency.md#conditional-writes).
 */
export async function writeRecord<Record extends Stored>(
  ctx: Writing,
  record: Record,
  token: string = ctx.ids.uid(),
): Promise<Record | undefined> {
  const written = writtenBy(record, token);
  if (await putWritten(ctx, record, written)) return written;
  const present = await ctx.table.get(keyOnly(record));
  return present && listWriters(present).includes(token) ? written : undefined;
}

/**
 * Writes several records in one transaction, each if it is unchanged. Also returns true if a repeat met its own effect.
 * Throws for more than 25 records.
 */
export async function writeRecords(ctx: Writing, records: readonly Stored[]): Promise<boolean> {
  const token = ctx.ids.uid();
  const puts = records.map((record) => ({ item: writtenBy(record, token), ifWriter: record.writers[0] ?? null }));
  try {
    await ctx.table.putAll(puts);
    return true;
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
    // One of them is enough: only this transaction has the token.
    const present = await ctx.table.getMany(records.map(keyOnly));
    return present.some((item) => listWriters(item).includes(token));
  }
}

/** Removes a record if it is unchanged. Also returns true if it is gone, or another life uses its key. */
export async function removeRecord(ctx: Writing, record: Stored & { readonly uid?: unknown }): Promise<boolean> {
  try {
    await ctx.table.remove(keyOnly(record), { ifWriter: record.writers[0] ?? NO_WRITER });
    return true;
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
    const present = await ctx.table.get(keyOnly(record));
    return present === undefined || (record.uid !== undefined && present.uid !== record.uid);
  }
}

interface Change<Record extends Stored, Read> {
  /** Reads the record consistently, or returns the basis for a new one. May throw `notFound`. */
  readonly read: () => Promise<Read>;
  /**
   * Returns the changed record, or undefined to write nothing. A change that adds something must store the token with
   * it, so that a repeat finds that it was added.
   */
  readonly decide: (result: Read, token: string) => Record | undefined | Promise<Record | undefined>;
  /** The subject and verb of the error text: `Disk 'data' is`. */
  readonly what: string;
  readonly tries?: number;
  /** The token of this change, if an earlier request may have made it already. */
  readonly token?: string | undefined;
}

export interface Changed<Record, Read> {
  /** The record that this change stored, or undefined if `decide` returned nothing. */
  readonly record: Record | undefined;
  readonly read: Read;
}

const TRIES = 5;

/**
 * Changes a record: reads, decides, writes with a condition, and starts over on a conflict. All changes of records use
 * this. If `decide` throws `Conflict`, it is called again with a new read. Throws `unavailable` after too many
 * conflicts.
 */
export async function changeRecord<Record extends Stored, Read>(
  ctx: Writing,
  { read, decide, what: subject, tries = TRIES, token = ctx.ids.uid() }: Change<Record, Read>,
): Promise<Changed<Record, Read>> {
  for (let left = tries; left > 0; left--) {
    const found = await read();
    const wanted = await orConflict(() => decide(found, token));
    if (wanted === "conflict") continue;
    if (wanted === undefined) return { record: undefined, read: found };
    const record = await writeRecord(ctx, wanted, token);
    if (record) return { record, read: found };
  }
  throw new Problem("unavailable", `${subject} changing too fast, try again`, { retryAfterSeconds: 1 });
}

async function orConflict<Made>(work: () => Made | Promise<Made>): Promise<Made | "conflict"> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Conflict) return "conflict";
    throw error;
  }
}

async function putWritten(ctx: Writing, before: Stored, written: Stored): Promise<boolean> {
  try {
    await ctx.table.put(written, { ifWriter: before.writers[0] ?? null });
    return true;
  } catch (error) {
    if (error instanceof Conflict) return false;
    throw error;
  }
}

function keyOnly({ pk, sk }: Key): Key {
  return { pk, sk };
}
