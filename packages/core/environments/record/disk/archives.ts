import type { Context, UserContext } from "../../../context.ts";
import type { Item, Key, Stored } from "../../../ports/table.ts";
import { Problem } from "../../../problem.ts";
import { archivesPartition } from "../../../store/keys.ts";
import { readable } from "../../../store/readable.ts";
import { literal, number, text, uid } from "../../../store/shape.ts";
import { createParser } from "../../../store/unreadable.ts";

/** The archive of a deleted environment; `sk` is the file name. */
export interface StoredArchive extends Stored {
  readonly kind: "archive";
  readonly uid: string;
  readonly environment: string;
  readonly blob: string;
  /** `late`: unfinished when its volume had to go. */
  readonly state: "completed" | "failed" | "late";
  readonly bytes: number;
  readonly at: number;
}

export async function listArchives(ctx: UserContext<"table">): Promise<StoredArchive[]> {
  const found: StoredArchive[] = [];
  let after: string | undefined;
  do {
    const query = { pk: archivesPartition(ctx.actor.uid) };
    const page = await ctx.table.query(after === undefined ? query : { ...query, after });
    found.push(...readable(ctx, page.items, parseArchive));
    after = page.next;
  } while (after !== undefined);
  return found.sort((a, b) => b.at - a.at || (a.sk < b.sk ? -1 : 1));
}

/** Lambda limits an answer to 6 MB. Base64 makes that 4.5 MB, less the rest of the answer. */
const MOST_ANSWERED_BYTES = 4_400_000;

/** Returns the bytes of the caller's zip, or a URL if it is too large for an answer. Throws `notFound`. */
export async function readArchive(
  ctx: UserContext<"table" | "blobs">,
  name: string,
): Promise<{ readonly bytes: Uint8Array } | { readonly url: string }> {
  const archive = await findStored(ctx, { pk: archivesPartition(ctx.actor.uid), sk: name });
  const kept = archive?.state === "completed" ? archive : undefined;
  if (kept && kept.bytes > MOST_ANSWERED_BYTES) {
    const url = await ctx.blobs.urlToGet(kept.blob, { contentType: "application/zip", fileName: kept.sk });
    if (url !== undefined) return { url };
  }
  const bytes = kept && (await ctx.blobs.get(kept.blob));
  if (!bytes) throw new Problem("notFound", `Backup ${name.slice(0, 128)} not found`);
  return { bytes };
}

export async function findStored(ctx: Context<"table">, { pk, sk }: Key): Promise<StoredArchive | undefined> {
  const item = await ctx.table.get({ pk, sk });
  return item && parseArchive(item);
}

const parseArchive: (item: Item) => StoredArchive = createParser("archive", {
  uid,
  environment: text,
  blob: text,
  state: literal("completed", "failed", "late"),
  bytes: number,
  at: number,
});
