import type { Context } from "../context.ts";
import { nextDueAt } from "../disks/next-due.ts";
import { parseDisk } from "../disks/parse.ts";
import { volumesOf } from "../disks/record.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import type { Item, Key } from "../ports/table.ts";
import type { Owned } from "../ports/volumes.ts";
import { endedDiskKey, keyOfText, keyText, kindOfKey, ownerOfDisk } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { Unreadable } from "../store/unreadable.ts";
import { writeRecord } from "../store/write-record.ts";

/** An outside resource that no record names. Never removed: the table may have been restored from a backup. */
export interface Unowned extends Owned {
  readonly why: string;
  readonly firstSeenAt: number;
  /** The number of consecutive comparisons that found it. */
  readonly sightings: number;
}

export type SeenBefore = Pick<Unowned, "id" | "firstSeenAt" | "sightings">;

export const UNOWNED_LISTED = { most: 50, bytes: 26_200 };

/** Keys of records are shorter. Values from a cluster may be longer. */
const LONGEST = 200;

/**
 * Finds resources whose records are missing or do not name them, earlier findings first. `owned` must be listed before:
 * records name a resource before it is created. Disks without a next reconcile that it reads get one.
 */
export async function findUnowned(
  ctx: Context<"table">,
  owned: readonly Owned[],
  before: readonly SeenBefore[],
  now: number,
): Promise<readonly Unowned[]> {
  const keys = new Map(owned.flatMap((resource) => findRecordKey(resource) ?? []).map((key) => [keyText(key), key]));
  const items = keys.size === 0 ? [] : await ctx.table.getMany([...keys.values()]);
  await dateDisks(ctx, items, now);
  const there = new Map(items.map((item) => [keyText(item), findNames(item)]));
  const ended = await endedDisks(
    ctx,
    [...keys.values()].filter((key) => !there.has(keyText(key))),
  );
  const knownSeenBefores = new Map(before.map((seenBefore) => [seenBefore.id, seenBefore]));
  const unowned = owned.flatMap((resource): Unowned[] => {
    const why = whyNot(resource, there, ended);
    if (why === undefined) return [];
    const id = resource.id.slice(0, LONGEST);
    const { firstSeenAt = now, sightings = 0 } = knownSeenBefores.get(id) ?? {};
    return [{ id, key: resource.key?.slice(0, LONGEST) ?? null, why, firstSeenAt, sightings: sightings + 1 }];
  });
  return earlierFirst(unowned);
}

/** Puts earlier findings first, so that the cut of a list does not replace them. */
export function earlierFirst<Found extends Pick<Unowned, "sightings">>(all: readonly Found[]): Found[] {
  return all.toSorted((left, right) => Number(right.sightings > 1) - Number(left.sightings > 1));
}

async function endedDisks(ctx: Context<"table">, missing: readonly Key[]): Promise<ReadonlySet<string>> {
  const keys = missing
    .filter((key) => kindOfKey(key) === "disk")
    .map((key) => ({ key: keyText(key), ended: endedDiskKey(ownerOfDisk(key), key.sk) }));
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys.map(({ ended }) => ended));
  const there = new Set(items.map(keyText));
  return new Set(keys.flatMap(({ key, ended }) => (there.has(keyText(ended)) ? [key] : [])));
}

/** Returns the ids that a record names, or undefined if it may name any (unreadable, or a creation is pending). */
function findNames(item: Item): ReadonlySet<string> | undefined {
  try {
    const { making, ids } = kindOfKey(item) === "disk" ? namesOfDisk(item) : namesOfEnvironment(item);
    return making.length > 0 ? undefined : new Set(ids);
  } catch (error) {
    // The reconciler logs unreadable records.
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function namesOfDisk(item: Item) {
  const disk = parseDisk(item);
  return { making: disk.making, ids: [...volumesOf(disk), ...disk.snapshots.map(({ id }) => id)] };
}

function namesOfEnvironment(item: Item) {
  const { volumes, making } = parseEnvironment(item);
  return { making, ids: volumes.flatMap(({ volume }) => volume?.id ?? []) };
}

function whyNot(
  owned: Owned,
  there: ReadonlyMap<string, ReadonlySet<string> | undefined>,
  ended: ReadonlySet<string>,
): string | undefined {
  if (owned.key === null) return "its owner is unknown";
  if (!findRecordKey(owned)) return "its key is not the key of a disk or environment";
  if (there.has(owned.key)) {
    const names = there.get(owned.key);
    return !names || names.has(owned.id) ? undefined : "its record does not name it";
  }
  return ended.has(owned.key) ? "its record could not be read, and was ended" : "it has no record";
}

function findRecordKey({ key }: Owned) {
  const named = key === null || key.length > LONGEST ? undefined : keyOfText(key);
  const kind = named && kindOfKey(named);
  return kind === "environment" || kind === "disk" ? named : undefined;
}

const MOST_DATED = 100;

/** Sets the next reconcile of disks that lack one, as records of earlier versions may: no sweep finds them. */
async function dateDisks(ctx: Context<"table">, items: readonly Item[], now: number): Promise<void> {
  const undated = items.filter((item) => item.dueAt === undefined && kindOfKey(item) === "disk");
  const dated = readable(ctx, undated, parseDisk).flatMap((disk) => {
    const dueAt = disk.phase === "purged" ? undefined : nextDueAt(disk, now, ctx.settings.diskVolumeIdleDays);
    return dueAt === undefined ? [] : [{ ...disk, dueAt }];
  });
  await Promise.all(dated.slice(0, MOST_DATED).map((disk) => writeRecord(ctx, disk)));
}
