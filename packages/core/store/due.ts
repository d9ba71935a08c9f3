import type { Ids } from "../ports/ids.ts";
import type { Key } from "../ports/table.ts";
import { keyText, kindOfKey } from "./keys.ts";

/** Partitions of the `due` index for environments, specs, users, inboxes and pools. */
export const dueShards = [..."0123456789abcdef"];

/** Disks have their own partitions, so that `disk-retention` is a function apart from `auto-stop`. */
export const diskShards = ["d0", "d1", "d2", "d3"];

/** Deliveries have their own partitions: webhooks that wait for a dead receiver do not delay other records. */
export const deliveryShards = ["w0", "w1", "w2", "w3"];

/** Returns the partition of the `due` index that a record with this key belongs to. */
export function getDueShard(ids: Ids, key: Key): string {
  const kind = kindOfKey(key);
  const hex = hexShard(ids, key);
  if (kind === "disk") return shardIn(diskShards, hex);
  return kind === "delivery" ? shardIn(deliveryShards, hex) : hex;
}

/** Reports whether an earlier version stored the record in this partition. `auto-stop` sweeps it there. */
export function isFormerShard(ids: Ids, key: Key, shard: unknown): boolean {
  return kindOfKey(key) === "disk" && shard === hexShard(ids, key);
}

function hexShard(ids: Ids, key: Key): string {
  return ids.hash(keyText(key)).slice(0, 1);
}

function shardIn(shards: readonly string[], hex: string): string {
  return shards[Number.parseInt(hex, 16) % shards.length] as string;
}
