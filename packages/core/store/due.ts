import type { Ids } from "../ports/ids.ts";
import type { Key } from "../ports/table.ts";
import { keyText } from "./keys.ts";

/** The partition of the `due` index that a record with this key belongs to: 16 shards by hash. */
export function dueShardOf(ids: Ids, key: Key): string {
  return ids.hash(keyText(key)).slice(0, 1);
}

export const dueShards = [..."0123456789abcdef"];

/** Deliveries are apart, so that many that wait for a dead receiver keep no sweep from what else is due. */
export function deliveryShardOf(ids: Ids, key: Key): string {
  return `w${Number.parseInt(dueShardOf(ids, key), 16) % deliveryShards.length}`;
}

export const deliveryShards = ["w0", "w1", "w2", "w3"];
