import type { Item } from "../ports/table.ts";
import { type Writing, writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";

/**
 * Notes that a key is in use, at most once an hour. Meant to go on beside the answer: whatever stops it, the next read
 * of the key tries again.
 */
export async function noteUse(ctx: Writing, key: Item, now: number): Promise<void> {
  const known = typeof key.lastUsedAt === "number" ? key.lastUsedAt : key.createdAt;
  if (typeof known === "number" && now - known <= HOUR_MS) return;
  await writeRecord(ctx, { ...key, lastUsedAt: now }).catch(() => undefined);
}
