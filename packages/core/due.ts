import type { Ids, Key } from "./context.ts";
import { keyText } from "./keys.ts";

/** The partition of the `due` index that a record with this key belongs to: 16 shards by hash. */
export function dueShardOf(ids: Ids, key: Key): string {
  return ids.hash(keyText(key)).slice(0, 1);
}

export const dueShards = [..."0123456789abcdef"];
