import type { Item } from "../ports/table.ts";
import { type Writing, writeRecord } from "../store/write-record.ts";
import { HOUR_MS } from "../units.ts";

/** Records that a key is in use, at most once an hour. Ignores failures: the next request tries again. */
export async function noteUse(ctx: Writing, key: Item, now: number): Promise<void> {
  const knownLastUsedAt = typeof key.lastUsedAt === "number" ? key.lastUsedAt : key.createdAt;
  if (typeof knownLastUsedAt === "number" && now - knownLastUsedAt <= HOUR_MS) return;
  await writeRecord(ctx, { ...key, lastUsedAt: now }).catch(() => undefined);
}
