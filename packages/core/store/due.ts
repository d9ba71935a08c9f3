import type { Ids } from "../ports/ids.ts";
import type { Key } from "../ports/table.ts";
import { keyText } from "./keys.ts";

/** Returns the partition of the `due` index for this key, one of 16 shards by hash. */
export function dueShardOf(ids: Ids, key: Key): string {
  return ids.hash(keyText(key)).slice(0, 1);
}

export const dueShards = [..."0123456789abcdef"];

/**
 * Returns the partition for a delivery. Deliveries are separate, so that many for a dead receiver do not delay the
 * sweep of other records.
 */
export function deliveryShardOf(ids: Ids, key: Key): string {
  return `w${Number.parseInt(dueShardOf(ids, key), 16) % deliveryShards.length}`;
}

export const deliveryShards = ["w0", "w1", "w2", "w3"];
