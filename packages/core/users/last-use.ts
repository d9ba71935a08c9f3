import type { Item, Table } from "../context.ts";

const HOUR_MS = 3_600_000;

/**
 * Notes that a key is in use, at most once an hour. Meant to go on beside the answer: whatever stops it, the next read
 * of the key tries again.
 */
export async function noteUse(table: Table, key: Item, now: number): Promise<void> {
  const known = typeof key.lastUsedAt === "number" ? key.lastUsedAt : key.createdAt;
  if (typeof known === "number" && now - known <= HOUR_MS) return;
  const used = { ...key, lastUsedAt: now, version: key.version + 1 };
  await table.put(used, { ifVersion: key.version }).catch(() => undefined);
}
