import type { Context, UserContext } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { diskKey, disksOf } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { type Directory, nameOf, parseDirectory, readDirectory, uidOf } from "./names/directory.ts";
import { type Holders, readHolders } from "./names/lease.ts";
import { parseDisk } from "./parse.ts";
import { type Disk, findDisk, hasPendingSnapshot } from "./record.ts";

/** A disk as its owner sees it. */
export interface DiskView {
  readonly disk: Disk;
  readonly name: string;
  readonly inUse: boolean;
  /** The environment that has it, as its dialect calls it. */
  readonly holder: string | null;
  readonly backingUp: boolean;
}

/** The caller's disk of this name, a soft-deleted one too; throws `notFound`. */
export async function getDisk(ctx: UserContext<"table">, name: string): Promise<DiskView> {
  const view = await findDiskIn(ctx, await readDirectory(ctx, ctx.actor.uid), name);
  if (view) return view;
  throw await whyNotFound(ctx, name);
}

/** What to say of a name that leads to no disk of the caller's. */
export async function whyNotFound(ctx: UserContext<"table">, name: string): Promise<Problem> {
  const isMissing = (await findMissing(ctx, ctx.actor.uid, name)) !== undefined;
  return new Problem("notFound", isMissing ? recordMissing(name) : `Disk '${name}' not found`);
}

/** What to say of a name that is taken. */
export async function whyTaken(ctx: UserContext<"table">, name: string): Promise<Problem> {
  const isMissing = (await findMissing(ctx, ctx.actor.uid, name)) !== undefined;
  return new Problem("conflict", isMissing ? recordMissing(name) : `Disk '${name}' already exists`);
}

/** What is said of a name that leads to no record. */
export function recordMissing(name: string): string {
  return `The record of disk '${name}' is missing: delete the disk to free its name`;
}

/**
 * The uid behind a name whose record is missing: no create leaves such a one, which writes the record first, and an
 * operator's end only where it died half way. Undefined: there is no such name, or it has its record.
 */
export async function findMissing(ctx: Context<"table">, owner: string, name: string): Promise<string | undefined> {
  const uid = uidOf(await readDirectory(ctx, owner), name);
  if (uid === undefined || (await ctx.table.get(diskKey(owner, uid)))) return undefined;
  if (uidOf(await readDirectory(ctx, owner), name) !== uid) return undefined;
  ctx.log.error("the record of a disk is missing", { owner, disk: uid, name });
  return uid;
}

/** The same from a directory that was read before. */
export async function findDiskIn(
  ctx: Context<"table">,
  directory: Directory,
  name: string,
): Promise<DiskView | undefined> {
  const uid = uidOf(directory, name);
  return viewWithHolder(ctx, uid === undefined ? undefined : await findDisk(ctx, ownerOf(directory), uid), name);
}

/** The directory and, as `findDiskIn` would, the disk of this name in it: by one query, for whoever changes both. */
export async function findDiskWithDirectory(
  ctx: Context<"table">,
  owner: string,
  name: string,
): Promise<{ directory: Directory; view: DiskView | undefined }> {
  const { items } = await ctx.table.query({ pk: disksOf(owner) });
  const directory = await directoryAmong(ctx, owner, items);
  const item = items.find(({ sk }) => sk === uidOf(directory, name));
  // An owner may have more disks than a page holds, and this one on another page.
  if (!item) return { directory, view: await findDiskIn(ctx, directory, name) };
  return { directory, view: await viewWithHolder(ctx, parseDisk(item), name) };
}

/**
 * The caller's disks, the newest first, without soft-deleted ones, or those alone (`deleted`): one query, and one read of
 * all holders.
 */
export async function listDisks(ctx: UserContext<"table">, { deleted = false } = {}): Promise<DiskView[]> {
  const owner = ctx.actor.uid;
  const items = await queryAll(ctx, disksOf(owner));
  const directory = await directoryAmong(ctx, owner, items);
  const disks = readable(
    ctx,
    items.filter((item) => !isDirectory(item)),
    parseDisk,
  );
  const named = disks.flatMap((disk) => {
    const name = nameOf(directory, disk.uid);
    return name === undefined || (disk.phase === "deleted") !== deleted || isPurged(disk) ? [] : [{ disk, name }];
  });
  const holders = await readHolders(
    ctx,
    named.map(({ disk }) => disk),
  );
  const views = named.map(({ disk, name }) => viewOf(disk, name, holders.get(disk.uid)));
  return views.sort((a, b) => b.disk.createdAt - a.disk.createdAt || (a.name < b.name ? -1 : 1));
}

/** It sorts before all disks: of a page without it, it is missing. */
async function directoryAmong(ctx: Context<"table">, owner: string, items: readonly Item[]): Promise<Directory> {
  const item = items.find(isDirectory);
  return item ? parseDirectory(item) : readDirectory(ctx, owner);
}

async function viewWithHolder(
  ctx: Context<"table">,
  disk: Disk | undefined,
  name: string,
): Promise<DiskView | undefined> {
  if (!disk || isPurged(disk)) return undefined;
  const holders = await readHolders(ctx, [disk]);
  return viewOf(disk, name, holders.get(disk.uid));
}

async function queryAll(ctx: Context<"table">, pk: string): Promise<Item[]> {
  const found: Item[] = [];
  let after: string | undefined;
  do {
    const page = await ctx.table.query(after === undefined ? { pk } : { pk, after });
    found.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return found;
}

function viewOf(disk: Disk, name: string, holders: Holders | undefined): DiskView {
  const { current, following } = holders ?? {};
  const holder = [current, following].find((one) => one && !one.isEnding);
  const isEnding = current?.isEnding === true && current.isAttached;
  return {
    disk,
    name,
    inUse: holder !== undefined,
    holder: holder?.id ?? null,
    backingUp: isEnding || hasPendingSnapshot(disk),
  };
}

function isDirectory({ kind }: Item): boolean {
  return kind === "directory";
}

function isPurged(disk: Disk): boolean {
  return disk.phase === "purging" || disk.phase === "purged";
}

function ownerOf(directory: Directory): string {
  return directory.pk.slice("owner#".length, -"#disk".length);
}
