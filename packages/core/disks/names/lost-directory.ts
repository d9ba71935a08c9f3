import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { directoryKey, disksPartition, keyText } from "../../store/keys.ts";
import { readEach } from "../../store/readable.ts";
import { uid as isUid, number, text } from "../../store/shape.ts";
import { Unreadable } from "../../store/unreadable.ts";
import { writeRecord } from "../../store/write-record.ts";
import { parseDisk } from "../parse.ts";
import type { Disk } from "../record.ts";
import type { Directory } from "./directory.ts";

/**
 * Restores a missing directory from the disk records; a live disk keeps its name over another. Returns undefined if
 * another writer was first. Throws `Unreadable` if a record lacks its name, because the directory would omit that disk.
 */
export async function makeDirectoryAgain(ctx: Context<"table">, owner: string): Promise<Directory | undefined> {
  const none: Directory = { ...directoryKey(owner), writers: [], kind: "directory", names: [] };
  const items = await disksIn(ctx, owner);
  const { records, unreadable } = readEach(ctx, items, parseDisk);
  const broken = items.filter((item) => unreadable.has(keyText(item)));
  const named = [...records.filter(hadName).map(whatIsSaid), ...broken.flatMap(whatMayBeSaid)];
  const names = named.sort(byLife).reduce(withName, []);
  if (names.length === 0) return none;
  const made = await writeRecord(ctx, { ...none, names });
  if (made) ctx.log.error("directory of disks made again", { owner, disks: names.length, unreadable: unreadable.size });
  return made;
}

async function disksIn(ctx: Context<"table">, owner: string): Promise<Item[]> {
  const pk = disksPartition(owner);
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk } : { pk, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return found.filter(({ sk }) => isUid(sk));
}

/** Reports whether the disk had a name. A disk that was just written gets its name with the next write. */
function hadName({ phase, volume, snapshots, lastUsedAt, taggedAs }: Disk): boolean {
  if (phase === "purged") return false;
  return volume !== null || snapshots.length > 0 || lastUsedAt !== null || taggedAs !== null;
}

interface Said {
  readonly uid: string;
  readonly name: string;
  readonly createdAt: number;
  /** A deleted disk may have given up its name already. */
  readonly isLiving: boolean;
  readonly hasContents: boolean;
}

function whatIsSaid({ uid, name, createdAt, phase, volume, snapshots }: Disk): Said {
  const hasContents = phase !== "purging" && (volume !== null || snapshots.length > 0);
  return { uid, name, createdAt, isLiving: isLiving(phase), hasContents };
}

/** Returns the readable part of an unreadable record. The disk counts as having data, since that is unknown. */
function whatMayBeSaid(item: Item): Said[] {
  const { sk: uid, name, createdAt, phase } = item;
  const unreadable = new Unreadable("disk", item, "the directory of disks needs its name");
  if (phase === "purged" && !unreadable.isNewer) return [];
  if (unreadable.isNewer || !text(name)) throw unreadable;
  const since = number(createdAt) ? createdAt : Number.MAX_SAFE_INTEGER;
  return [{ uid, name, createdAt: since, isLiving: isLiving(phase), hasContents: phase !== "purging" }];
}

function isLiving(phase: unknown): boolean {
  return phase !== "deleted" && phase !== "purging";
}

function byLife(left: Said, right: Said): number {
  return rank(right) - rank(left) || left.createdAt - right.createdAt;
}

function rank({ isLiving, hasContents }: Said): number {
  return (isLiving ? 2 : 0) + (hasContents ? 1 : 0);
}

function withName(names: Directory["names"], { name, uid, hasContents }: Said): Directory["names"] {
  const isTaken = names.some(([diskName]) => diskName === name);
  if (!isTaken) return [...names, [name, uid]];
  return hasContents ? [...names, [namedById(name, uid), uid]] : names;
}

const LONGEST_NAME = 64;
const UID_DIGITS = 8;

export function namedById(name: string, uid: string): string {
  return `${name.slice(0, LONGEST_NAME - UID_DIGITS - 1)}-${uid.slice(0, UID_DIGITS)}`;
}
