import type { Context, UserContext } from "../../../context.ts";
import type { Item, Key, Stored } from "../../../ports/table.ts";
import { Problem } from "../../../problem.ts";
import { archivesOf } from "../../../store/keys.ts";
import { readable } from "../../../store/readable.ts";
import { number, oneOf, text, uid } from "../../../store/shape.ts";
import { parserOf } from "../../../store/unreadable.ts";

/** What was kept of an environment that was deleted; `sk` is the file's name. */
export interface StoredArchive extends Stored {
  readonly kind: "archive";
  readonly uid: string;
  /** The wire id that it had. */
  readonly environment: string;
  readonly blob: string;
  /** `late`: not finished when its volume had to go. */
  readonly state: "completed" | "failed" | "late";
  readonly bytes: number;
  /** ms. */
  readonly at: number;
}

/** All that is kept of the caller's environments, newest first, failures included. */
export async function listArchives(ctx: UserContext<"table">): Promise<StoredArchive[]> {
  const found: StoredArchive[] = [];
  let after: string | undefined;
  do {
    const query = { pk: archivesOf(ctx.actor.uid) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...readable(ctx, page.items, parseArchive));
    after = page.next;
  } while (after !== undefined);
  return found.sort((a, b) => b.at - a.at || (a.sk < b.sk ? -1 : 1));
}

/** A Lambda answers with 6 MB at most, and bytes go into an answer as base64: 4.5 MB, less what else is in it. */
const MOST_ANSWERED_BYTES = 4_400_000;

/**
 * The caller's zip of this name: its bytes, or the address of one that an answer may not be able to carry. Throws
 * `notFound`, also for one that was never completed.
 */
export async function readArchive(
  ctx: UserContext<"table" | "blobs">,
  name: string,
): Promise<{ readonly bytes: Uint8Array } | { readonly url: string }> {
  const archive = await findStored(ctx, { pk: archivesOf(ctx.actor.uid), sk: name });
  const kept = archive?.state === "completed" ? archive : undefined;
  if (kept && kept.bytes > MOST_ANSWERED_BYTES) {
    const url = await ctx.blobs.urlToGet(kept.blob, { contentType: "application/zip", fileName: kept.sk });
    if (url !== undefined) return { url };
  }
  const bytes = kept && (await ctx.blobs.get(kept.blob));
  if (!bytes) throw new Problem("notFound", `Backup ${name.slice(0, 128)} not found`);
  return { bytes };
}

/** What is kept under this key, or undefined. */
export async function findStored(ctx: Context<"table">, { pk, sk }: Key): Promise<StoredArchive | undefined> {
  const item = await ctx.table.get({ pk, sk });
  return item && parseArchive(item);
}

const parseArchive: (item: Item) => StoredArchive = parserOf("archive", {
  uid,
  environment: text,
  blob: text,
  state: oneOf("completed", "failed", "late"),
  bytes: number,
  at: number,
});
