import type { Context, UserContext } from "../context.ts";
import type { Item } from "../ports/table.ts";
import { Problem } from "../problem.ts";
import { diskKey, disksPartition } from "../store/keys.ts";
import { readable } from "../store/readable.ts";
import { type Directory, findDiskName, findDiskUid, parseDirectory, readDirectory } from "./names/directory.ts";
import { type Holders, readHolders } from "./names/lease.ts";
import { parseDisk } from "./parse.ts";
import { type Disk, findDisk, hasPendingSnapshot } from "./record.ts";

export interface DiskView {
  readonly disk: Disk;
  readonly name: string;
  readonly inUse: boolean;
  readonly holder: string | null;
  readonly backingUp: boolean;
}

export async function getDisk(ctx: UserContext<"table">, name: string): Promise<DiskView> {
  const view = await findDiskIn(ctx, await readDirectory(ctx, ctx.actor.uid), name);
  if (view) return view;
  throw await whyNotFound(ctx, name);
}

export async function whyNotFound(ctx: UserContext<"table">, name: string): Promise<Problem> {
  const isMissing = (await findMissing(ctx, ctx.actor.uid, name)) !== undefined;
  return new Problem("notFound", isMissing ? recordMissing(name) : `Disk '${name}' not found`);
}

export async function whyTaken(ctx: UserContext<"table">, name: string): Promise<Problem> {
  const isMissing = (await findMissing(ctx, ctx.actor.uid, name)) !== undefined;
  return new Problem("conflict", isMissing ? recordMissing(name) : `Disk '${name}' already exists`);
}

export function recordMissing(name: string): string {
  return `The record of disk '${name}' is missing: delete the disk to free its name`;
}

/** Returns the uid behind a name without a record, which only an operator's interrupted removal leaves. */
export async function findMissing(ctx: Context<"table">, owner: string, name: string): Promise<string | undefined> {
  const uid = findDiskUid(await readDirectory(ctx, owner), name);
  if (uid === undefined || (await ctx.table.get(diskKey(owner, uid)))) return undefined;
  if (findDiskUid(await readDirectory(ctx, owner), name) !== uid) return undefined;
  ctx.log.error("the record of a disk is missing", { owner, disk: uid, name });
  return uid;
}

export async function findDiskIn(
  ctx: Context<"table">,
  directory: Directory,
  name: string,
): Promise<DiskView | undefined> {
  const uid = findDiskUid(directory, name);
  return viewWithHolder(ctx, uid === undefined ? undefined : await findDisk(ctx, getOwner(directory), uid), name);
}

/** Reads the directory and the disk in one query, for a caller that changes both. */
export async function findDiskWithDirectory(
  ctx: Context<"table">,
  owner: string,
  name: string,
): Promise<{ directory: Directory; view: DiskView | undefined }> {
  const { items } = await ctx.table.query({ pk: disksPartition(owner) });
  const directory = await directoryAmong(ctx, owner, items);
  const item = items.find(({ sk }) => sk === findDiskUid(directory, name));
  if (!item) return { directory, view: await findDiskIn(ctx, directory, name) };
  return { directory, view: await viewWithHolder(ctx, parseDisk(item), name) };
}

/** Lists the caller's disks, newest first: without deleted ones, or only those (`deleted`). */
export async function listDisks(ctx: UserContext<"table">, { deleted = false } = {}): Promise<DiskView[]> {
  const owner = ctx.actor.uid;
  const items = await queryAll(ctx, disksPartition(owner));
  const directory = await directoryAmong(ctx, owner, items);
  const disks = readable(
    ctx,
    items.filter((item) => !isDirectory(item)),
    parseDisk,
  );
  const named = disks.flatMap((disk) => {
    const name = findDiskName(directory, disk.uid);
    return name === undefined || (disk.phase === "deleted") !== deleted || isPurged(disk) ? [] : [{ disk, name }];
  });
  const holders = await readHolders(
    ctx,
    named.map(({ disk }) => disk),
  );
  const views = named.map(({ disk, name }) => toView(disk, name, holders.get(disk.uid)));
  return views.sort((a, b) => b.disk.createdAt - a.disk.createdAt || (a.name < b.name ? -1 : 1));
}

/** Finds the directory, which sorts before all disks, so a first page without it means that it is missing. */
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
  return toView(disk, name, holders.get(disk.uid));
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

function toView(disk: Disk, name: string, holders: Holders | undefined): DiskView {
  const { current, following } = holders ?? {};
  const holder = [current, following].find((holder) => holder && !holder.isEnding);
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

function getOwner(directory: Directory): string {
  return directory.pk.slice("owner#".length, -"#disk".length);
}
