import type { Context, UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { writeRecords } from "../../store/write-record.ts";
import { type Disk, type DiskPhase, findDisk } from "../record.ts";
import { type Directory, nameOf, readDirectory, refuseTooMany, uidOf, without } from "./directory.ts";
import { namedById } from "./named-by-id.ts";

const TRIES = 5;

/**
 * Frees the name of this disk by giving the disk that has it a name made of its id, where that disk is in one of these
 * phases. Reports whether the name is free. Throws `conflict` where the owner may have no further disk. Directory and
 * record are written together, so an undelete at the same moment either keeps the name or finds it gone
 * (docs/architecture/consistency.md#the-directory-of-disk-names).
 */
export async function setAside(
  ctx: Context<"table">,
  newcomer: Pick<Disk, "owner" | "name" | "uid">,
  phases: readonly DiskPhase[],
): Promise<boolean> {
  const { owner, name } = newcomer;
  for (let left = TRIES; left > 0; left--) {
    const directory = await readDirectory(ctx, owner);
    const uid = uidOf(directory, name);
    if (uid === undefined) return true;
    const disk = await unlessUnreadable(ctx, () => findDisk(ctx, owner, uid));
    const newName = nameAside(directory, name, uid);
    if (!disk || !phases.includes(disk.phase) || newName === undefined) return false;
    if (nameOf(directory, newcomer.uid) === undefined) refuseTooMany([...directory.names, [name, newcomer.uid]]);
    const names = [...without(directory.names, uid), [newName, uid] as const];
    const moved: Directory = { ...directory, names };
    if (await writeRecords(ctx, [moved, renamed(ctx, disk, newName)])) return true;
  }
  throw new Problem("unavailable", "Your disks are changing too fast, try again", { retryAfterSeconds: 1 });
}

/** The next look at the disk writes the new name on its snapshots. A purge keeps its own time: it removes them. */
function renamed(ctx: Context, disk: Disk, name: string): Disk {
  return { ...disk, name, ...(disk.phase === "deleted" && { taggedAs: null, dueAt: ctx.clock.now() }) };
}

/** Returns the first of the two names made of the id that is free; undefined: the owner has disks of both names. */
function nameAside(directory: Directory, name: string, uid: string): string | undefined {
  return [namedById(name, uid), uid].find((one) => uidOf(directory, one) === undefined);
}

/** Returns the deleted disk that lost this name last, and the name it has instead. */
export async function findSetAside(
  ctx: UserContext<"table">,
  name: string,
): Promise<{ readonly name: string; readonly purgeAt: number } | undefined> {
  const owner = ctx.actor.uid;
  const { names } = await readDirectory(ctx, owner);
  const asides = names.filter(([one, uid]) => one === namedById(name, uid));
  const found = await Promise.all(
    asides.map(async ([one, uid]) => {
      const disk = await unlessUnreadable(ctx, () => findDisk(ctx, owner, uid));
      return disk?.phase === "deleted" && disk.purgeAt !== null ? [{ name: one, purgeAt: disk.purgeAt }] : [];
    }),
  );
  return found.flat().sort((one, other) => other.purgeAt - one.purgeAt)[0];
}
