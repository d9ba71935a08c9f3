import type { Context, Item } from "../context.ts";
import { directoryKey, disksOf } from "../keys.ts";
import { readEach } from "../readable.ts";
import { writeRecord } from "../write-record.ts";
import type { Directory } from "./directory.ts";
import { parseDisk } from "./parse.ts";
import type { Disk } from "./record.ts";

/**
 * The directory of an owner who has none: that of one who never had a disk, or made again from the disks that had a name,
 * as far as their records say it. Of two with one name the one with contents keeps it, and one that is being purged last.
 * Undefined where somebody else wrote one meanwhile, as with an owner's very first disk.
 */
export async function makeDirectoryAgain(ctx: Context<"table">, owner: string): Promise<Directory | undefined> {
  const none: Directory = { ...directoryKey(owner), writers: [], kind: "directory", names: [] };
  const { records, unreadable } = readEach(ctx, await disksIn(ctx, owner), parseDisk);
  const named = records.filter(hadName).sort(byContents);
  const names = named.reduce(withName, []);
  if (names.length === 0) return none;
  const made = await writeRecord(ctx, { ...none, names });
  if (made) ctx.log.error("directory of disks made again", { owner, disks: names.length, unreadable: unreadable.size });
  return made;
}

async function disksIn(ctx: Context<"table">, owner: string): Promise<Item[]> {
  const pk = disksOf(owner);
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk } : { pk, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return found.filter(({ kind }) => kind === "disk");
}

/** One that was just written has none yet, and gets its own by the next write. */
function hadName({ phase, volume, snapshots, lastUsedAt, taggedAs }: Disk): boolean {
  if (phase === "purged") return false;
  return volume !== null || snapshots.length > 0 || lastUsedAt !== null || taggedAs !== null;
}

function hasContents({ volume, snapshots }: Disk): boolean {
  return volume !== null || snapshots.length > 0;
}

/** One that is being purged may have given its name away already. */
function weightOf(disk: Disk): number {
  if (disk.phase === "purging") return 0;
  return hasContents(disk) ? 2 : 1;
}

function byContents(one: Disk, other: Disk): number {
  return weightOf(other) - weightOf(one) || one.createdAt - other.createdAt;
}

const LONGEST_NAME = 64;
const UID_DIGITS = 8;

function withName(names: Directory["names"], disk: Disk): Directory["names"] {
  const isTaken = names.some(([name]) => name === disk.name);
  if (!isTaken) return [...names, [disk.name, disk.uid]];
  const other = `${disk.name.slice(0, LONGEST_NAME - UID_DIGITS - 1)}-${disk.uid.slice(0, UID_DIGITS)}`;
  return weightOf(disk) === 2 ? [...names, [other, disk.uid]] : names;
}
