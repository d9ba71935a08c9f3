import type { Context } from "../context.ts";
import type { Key, Stored } from "../ports/table.ts";
import { Conflict, Problem } from "../problem.ts";
import { FORMAT } from "./unreadable.ts";
import { NO_WRITER } from "./writers.ts";

/** What writing takes. */
export type Writing = Pick<Context<"table">, "table" | "ids">;

/** More than the puts that other writers can make while an SDK repeats one whose answer was lost. */
const KEPT_WRITERS = 8;

/** The record as it is stored by the put of this token. */
function writtenBy<Record extends Stored>(record: Record, token: string): Record {
  return { ...record, format: FORMAT, writers: [token, ...writersOf(record)].slice(0, KEPT_WRITERS) };
}

/** Who wrote an item, the newest first: no more than that is known of one that somebody edited by hand. */
function writersOf({ writers }: Stored): readonly string[] {
  return writers.filter((writer: unknown) => typeof writer === "string");
}

/**
 * Writes a record where it is still as it was read, or absent where `writers` is empty. Answers the record as stored;
 * undefined: somebody else was faster. An SDK repeats a put whose answer was lost, and the repeat meets the put's own
 * effect: a conflict whose item holds this put's token is a success
 * (docs/architecture/consistency.md#conditional-writes).
 */
export async function writeRecord<Record extends Stored>(
  ctx: Writing,
  record: Record,
  token: string = ctx.ids.uid(),
): Promise<Record | undefined> {
  const written = writtenBy(record, token);
  if (await putWritten(ctx, record, written)) return written;
  const present = await ctx.table.get(keyOnly(record));
  return present && writersOf(present).includes(token) ? written : undefined;
}

/**
 * Writes several records, all or none, each where it is still as it was read. True as well where a repeat of this very
 * write met its own effect. Throws where they are more than 25.
 */
export async function writeRecords(ctx: Writing, records: readonly Stored[]): Promise<boolean> {
  const token = ctx.ids.uid();
  const puts = records.map((record) => ({ item: writtenBy(record, token), ifWriter: record.writers[0] ?? null }));
  try {
    await ctx.table.putAll(puts);
    return true;
  } catch (error) {
    if (!(error instanceof Conflict)) throw error;
    // What one of them says holds for all: no other write has this token.
    const present = await ctx.table.getMany(records.map(keyOnly));
    return present.some((item) => writersOf(item).includes(token));
  }
}

/** Removes a record that is still as it was read. True as well when it is gone, or another life has its key. */
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
  /** Reads the record, consistently; for a new one answers what is to be decided on. May throw `notFound`. */
  readonly read: () => Promise<Read>;
  /**
   * The record as it shall be; undefined: nothing is to be written. What adds something keeps the token in it: whoever
   * finds it there on another read has added it already.
   */
  readonly decide: (read: Read, token: string) => Record | undefined | Promise<Record | undefined>;
  /** What is changing too fast, as the subject of a sentence: `Disk 'data' is`. */
  readonly what: string;
  readonly tries?: number;
  /** The token of this change, where an earlier request may have made it already. */
  readonly token?: string | undefined;
}

export interface Changed<Record, Read> {
  /** The record that this change stored; undefined: `decide` had nothing to write. */
  readonly record: Record | undefined;
  /** What that decision was made on. */
  readonly read: Read;
}

const TRIES = 5;

/**
 * The only way a record is changed: reads, decides, writes if nobody else did meanwhile, and begins again otherwise.
 * `decide` that throws `Conflict` is asked again on a new read. Throws `unavailable` when others are always faster.
 */
export async function changeRecord<Record extends Stored, Read>(
  ctx: Writing,
  { read, decide, what, tries = TRIES, token = ctx.ids.uid() }: Change<Record, Read>,
): Promise<Changed<Record, Read>> {
  for (let left = tries; left > 0; left--) {
    const found = await read();
    const wanted = await orConflict(() => decide(found, token));
    if (wanted === "conflict") continue;
    if (wanted === undefined) return { record: undefined, read: found };
    const record = await writeRecord(ctx, wanted, token);
    if (record) return { record, read: found };
  }
  throw new Problem("unavailable", `${what} changing too fast, try again`, { retryAfterSeconds: 1 });
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
