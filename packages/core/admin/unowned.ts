import type { Context } from "../context.ts";
import { dateDisks } from "../disks/backups/undated.ts";
import { parseDisk } from "../disks/parse.ts";
import { parseEnvironment } from "../environments/record/parse.ts";
import type { Item, Key } from "../ports/table.ts";
import type { Owned } from "../ports/volumes.ts";
import { endedDiskKey, keyOfText, keyText, kindOfKey, ownerOfDisk } from "../store/keys.ts";
import { Unreadable } from "../store/unreadable.ts";

/** What exists and no record names. It is reported and never removed: a table restored from a backup costs nobody their work. */
export interface Unowned extends Owned {
  readonly why: string;
  readonly firstSeenAt: number;
  /** Comparisons in a row that found it. */
  readonly sightings: number;
}

/** What the report before says of one. */
export type SeenBefore = Pick<Unowned, "id" | "firstSeenAt" | "sightings">;

/** A report has the first ones. */
export const UNOWNED_LISTED = { most: 50, bytes: 26_200 };

/** What a cluster answers may be longer; keys of records are shorter. */
const LONGEST = 200;

/**
 * Those whose records are not there or do not name them, of the report before first. `owned` was listed before: a record
 * is there, and says so, before anything is made for it. The disks that it reads are dated where they have no next look.
 */
export async function findUnowned(
  ctx: Context<"table">,
  owned: readonly Owned[],
  before: readonly SeenBefore[],
  now: number,
): Promise<readonly Unowned[]> {
  const keys = new Map(owned.flatMap((one) => recordKeyOf(one) ?? []).map((key) => [keyText(key), key]));
  const items = keys.size === 0 ? [] : await ctx.table.getMany([...keys.values()]);
  await dateDisks(ctx, items, now);
  const there = new Map(items.map((item) => [keyText(item), namesOf(item)]));
  const ended = await endedDisks(
    ctx,
    [...keys.values()].filter((key) => !there.has(keyText(key))),
  );
  const known = new Map(before.map((one) => [one.id, one]));
  const unowned = owned.flatMap((one): Unowned[] => {
    const why = whyNot(one, there, ended);
    if (why === undefined) return [];
    const id = one.id.slice(0, LONGEST);
    const { firstSeenAt = now, sightings = 0 } = known.get(id) ?? {};
    return [{ id, key: one.key?.slice(0, LONGEST) ?? null, why, firstSeenAt, sightings: sightings + 1 }];
  });
  // What the report did not have before is behind what it had, however they come.
  return unowned.toSorted((one, other) => rank(one) - rank(other));
}

function rank({ sightings }: Unowned): number {
  return sightings > 1 ? 0 : 1;
}

/** The keys of those disks whose records the operator ended. */
async function endedDisks(ctx: Context<"table">, missing: readonly Key[]): Promise<ReadonlySet<string>> {
  const keys = missing
    .filter((key) => kindOfKey(key) === "disk")
    .map((key) => ({ key: keyText(key), ended: endedDiskKey(ownerOfDisk(key), key.sk) }));
  const items = keys.length === 0 ? [] : await ctx.table.getMany(keys.map(({ ended }) => ended));
  const there = new Set(items.map(keyText));
  return new Set(keys.flatMap(({ key, ended }) => (there.has(keyText(ended)) ? [key] : [])));
}

/** The ids that a record names. Undefined: it may name any, since it cannot be read, or something is being made for it. */
function namesOf(item: Item): ReadonlySet<string> | undefined {
  try {
    const { making, ids } = kindOfKey(item) === "disk" ? namesOfDisk(item) : namesOfEnvironment(item);
    return making.length > 0 ? undefined : new Set(ids);
  } catch (error) {
    // Whoever looks at the record says so.
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function namesOfDisk(item: Item) {
  const { volume, supersededVolumes = [], snapshots, making } = parseDisk(item);
  return { making, ids: [...(volume ? [volume.id] : []), ...supersededVolumes, ...snapshots.map(({ id }) => id)] };
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
  if (owned.key === null) return "nothing says whose it is";
  if (!recordKeyOf(owned)) return "its key is that of no disk or environment";
  if (there.has(owned.key)) {
    const names = there.get(owned.key);
    return !names || names.has(owned.id) ? undefined : "its record does not name it";
  }
  return ended.has(owned.key) ? "its record could not be read, and was ended" : "it has no record";
}

function recordKeyOf({ key }: Owned) {
  const named = key === null || key.length > LONGEST ? undefined : keyOfText(key);
  const kind = named && kindOfKey(named);
  return kind === "environment" || kind === "disk" ? named : undefined;
}
