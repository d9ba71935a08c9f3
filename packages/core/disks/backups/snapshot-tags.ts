import type { Context } from "../../context.ts";
import type { Key } from "../../ports/table.ts";
import type { SnapshotTags } from "../../ports/volumes.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { diskShards } from "../../store/due.ts";
import { diskKey, kindOfKey } from "../../store/keys.ts";
import { readable } from "../../store/readable.ts";
import { parseDisk } from "../parse.ts";
import { type Disk, snapshotTags } from "../record.ts";

/** The most disks that one run mends. Each disk's own daily step mends the rest. */
const MOST_DISKS = 1_000;
/** The interval between their messages. The last one is sent within the 900 s that a queue can delay a message. */
const PACE_MS = 500;
const READ_AT_ONCE = 100;

/**
 * Compares the tags of this deployment's snapshots with the records of its disks. Requests a reconcile of each disk
 * with a snapshot whose tags are missing or old; its step writes them again (`retag` in disks/step.ts). Returns the
 * number of such disks. Throws if the snapshots or the disks cannot be listed.
 */
export async function mendSnapshotTags(ctx: Context<"table" | "queue" | "volumes">): Promise<number> {
  const listedAt = ctx.clock.now();
  const tags = await listTags(ctx);
  const disks = await listDisks(ctx);
  const before = listedAt - ctx.volumes.listedWithinMs;
  const wrong = disks.filter((disk) => hasWrongTags(disk, tags, before));
  await Promise.all(
    wrong.slice(0, MOST_DISKS).map(({ owner, uid }, place) => {
      return requestReconcile(ctx, diskKey(owner, uid), { isHint: true, delayMs: place * PACE_MS });
    }),
  );
  if (wrong.length > 0) ctx.log.warn("snapshot tags wrong", { disks: wrong.length, snapshots: tags.size });
  return wrong.length;
}

/** Reports whether a snapshot has these tags. Other tags do not matter. */
export function isTagged(tags: Partial<SnapshotTags>, wanted: Partial<SnapshotTags>): boolean {
  return Object.entries(wanted).every(([tag, value]) => tags[tag as keyof SnapshotTags] === value);
}

type Tags = ReadonlyMap<string, Partial<SnapshotTags>>;

async function listTags(ctx: Context<"volumes">): Promise<Tags> {
  const tags = new Map<string, Partial<SnapshotTags>>();
  let after: string | undefined;
  do {
    const page = await ctx.volumes.listOwnedSnapshots(after);
    for (const snapshot of page.snapshots) tags.set(snapshot.id, snapshot.tags);
    after = page.next;
  } while (after !== undefined);
  return tags;
}

/** A snapshot that is newer than `before` may not be listed yet, and one that was missed before may be gone. */
function hasWrongTags(disk: Disk, tags: Tags, before: number): boolean {
  const wanted = snapshotTags(disk, disk.name);
  const present = disk.snapshots.filter(({ at, completed, missedAt }) => {
    return completed && missedAt === undefined && at < before;
  });
  return present.some(({ id }) => !isTagged(tags.get(id) ?? {}, wanted));
}

/** Lists every disk with a next step. A disk that has a backup has one. */
async function listDisks(ctx: Context<"table">): Promise<Disk[]> {
  const keys = (await Promise.all(diskShards.map((shard) => listKeys(ctx, shard)))).flat();
  const disks: Disk[] = [];
  for (let first = 0; first < keys.length; first += READ_AT_ONCE) {
    const items = await ctx.table.getMany(keys.slice(first, first + READ_AT_ONCE));
    disks.push(...readable(ctx, items, parseDisk));
  }
  return disks;
}

async function listKeys(ctx: Context<"table">, partition: string): Promise<Key[]> {
  const keys: Key[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query({ index: "due", partition, ...(after !== undefined && { after }) });
    keys.push(...page.items.map(({ pk, sk }) => ({ pk, sk })).filter((key) => kindOfKey(key) === "disk"));
    after = page.next;
  } while (after !== undefined);
  return keys;
}
