import type { Context } from "../../context.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { directoryKey } from "../../store/keys.ts";
import { list, pair, text, uid } from "../../store/shape.ts";
import { createParser } from "../../store/unreadable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { makeDirectoryAgain } from "./lost-directory.ts";

/** The item that decides which names exist (docs/architecture/consistency.md#the-directory-of-disk-names). */
export interface Directory extends Stored {
  readonly kind: "directory";
  /** Name and uid of each disk. Pairs, because `__proto__` is a valid name. */
  readonly names: readonly (readonly [name: string, uid: string])[];
}

const MOST_DISKS = 500;

/** Throws `Unreadable`, because the names in an unreadable directory are taken. */
export async function readDirectory(ctx: Context<"table">, owner: string): Promise<Directory> {
  const item = await ctx.table.get(directoryKey(owner));
  if (item) return parseDirectory(item);
  return (await makeDirectoryAgain(ctx, owner)) ?? readDirectory(ctx, owner);
}

export const parseDirectory: (item: Item) => Directory = createParser("directory", { names: list(pair(text, uid)) });

export function findDiskUid({ names }: Pick<Directory, "names">, name: string): string | undefined {
  return names.find(([diskName]) => diskName === name)?.[1];
}

export function findDiskName(directory: Directory, uid: string): string | undefined {
  return directory.names.find(([, diskUid]) => diskUid === uid)?.[0];
}

/**
 * Changes the names in one conditional write. `change` may run again, throw, or return undefined to write nothing.
 * `token` identifies a change that an earlier request may have made. Throws `conflict` for too many disks.
 */
export async function changeDirectory(
  ctx: Context<"table">,
  owner: string,
  change: (directory: Directory) => Directory["names"] | undefined,
  knownDirectory?: Directory,
  token?: string,
): Promise<void> {
  let first = knownDirectory;
  await changeRecord(ctx, {
    async read() {
      const directory = first ?? (await readDirectory(ctx, owner));
      first = undefined;
      return directory;
    },
    decide(directory): Directory | undefined {
      const names = change(directory);
      if (names) refuseTooMany(names);
      return names && { ...directory, names };
    },
    what: "Your disks are",
    token,
  });
}

export function refuseTooMany(names: Directory["names"]): void {
  if (names.length <= MOST_DISKS) return;
  throw new Problem("conflict", `There can be at most ${MOST_DISKS} disks, deleted ones included`, {
    errorCode: "limit",
  });
}

export function without(names: Directory["names"], uid: string): Directory["names"] {
  return names.filter(([, diskUid]) => diskUid !== uid);
}
