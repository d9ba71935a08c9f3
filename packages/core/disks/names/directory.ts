import type { Context } from "../../context.ts";
import type { Item, Stored } from "../../ports/table.ts";
import { Problem } from "../../problem.ts";
import { directoryKey } from "../../store/keys.ts";
import { listOf, pairOf, text, uid } from "../../store/shape.ts";
import { parserOf } from "../../store/unreadable.ts";
import { changeRecord } from "../../store/write-record.ts";
import { makeDirectoryAgain } from "./lost-directory.ts";

/**
 * The owner's disks by name: the one item that decides which names exist
 * (docs/architecture/consistency.md#the-directory-of-disk-names).
 */
export interface Directory extends Stored {
  readonly kind: "directory";
  /** Name and uid of each disk. Pairs, since `__proto__` is a name too. */
  readonly names: readonly (readonly [name: string, uid: string])[];
}

const MOST_DISKS = 500;

/**
 * Answers one without writers where the owner never had a disk. Throws `Unreadable`: a name that cannot be read is taken.
 */
export async function readDirectory(ctx: Context<"table">, owner: string): Promise<Directory> {
  const item = await ctx.table.get(directoryKey(owner));
  if (item) return parseDirectory(item);
  return (await makeDirectoryAgain(ctx, owner)) ?? readDirectory(ctx, owner);
}

export const parseDirectory: (item: Item) => Directory = parserOf("directory", { names: listOf(pairOf(text, uid)) });

/** The uid behind a name. */
export function uidOf({ names }: Pick<Directory, "names">, name: string): string | undefined {
  return names.find(([one]) => one === name)?.[1];
}

/** The name of a disk, or undefined when no name leads to it. */
export function nameOf(directory: Directory, uid: string): string | undefined {
  return directory.names.find(([, one]) => one === uid)?.[0];
}

/**
 * One conditional write that changes the names, as they were read before (`known`) or are read now. `change` is asked
 * again when somebody else was faster, and may throw; undefined leaves everything as it is. Throws `conflict` for more
 * than 500 disks. `token` is that of the change, where an earlier request may have made it already.
 */
export async function changeDirectory(
  ctx: Context<"table">,
  owner: string,
  change: (directory: Directory) => Directory["names"] | undefined,
  known?: Directory,
  token?: string,
): Promise<void> {
  let first = known;
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

/** Throws `conflict` for more than 500 disks. */
export function refuseTooMany(names: Directory["names"]): void {
  if (names.length <= MOST_DISKS) return;
  throw new Problem("conflict", `There can be at most ${MOST_DISKS} disks, deleted ones included`, {
    errorCode: "limit",
  });
}

/** The names without this disk's. */
export function without(names: Directory["names"], uid: string): Directory["names"] {
  return names.filter(([, one]) => one !== uid);
}
