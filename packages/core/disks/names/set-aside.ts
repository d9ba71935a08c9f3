import type { Context, UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import { unlessUnreadable } from "../../store/readable.ts";
import { writeRecords } from "../../store/write-record.ts";
import { type Disk, type DiskPhase, findDisk } from "../record.ts";
import { type Directory, findDiskName, findDiskUid, readDirectory, refuseTooMany, without } from "./directory.ts";
import { namedById } from "./lost-directory.ts";

const TRIES = 5;

/**
 * Frees the name: a disk that has it, in one of these phases, gets a name made from its id. Writes directory and record
 * together, so a simultaneous undelete keeps the name or finds it gone
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
    const uid = findDiskUid(directory, name);
    if (uid === undefined) return true;
    const disk = await unlessUnreadable(ctx, () => findDisk(ctx, owner, uid));
    const newName = nameAside(directory, name, uid);
    if (!disk || !phases.includes(disk.phase) || newName === undefined) return false;
    if (findDiskName(directory, newcomer.uid) === undefined) refuseTooMany([...directory.names, [name, newcomer.uid]]);
    const names = [...without(directory.names, uid), [newName, uid] as const];
    const moved: Directory = { ...directory, names };
    if (await writeRecords(ctx, [moved, renamed(ctx, disk, newName)])) return true;
  }
  throw new Problem("unavailable", "Your disks are changing too fast, try again", { retryAfterSeconds: 1 });
}

/** Returns the renamed disk. Its next reconcile tags the snapshots; a purge keeps its time, since it removes them. */
function renamed(ctx: Context, disk: Disk, name: string): Disk {
  return { ...disk, name, ...(disk.phase === "deleted" && { taggedAs: null, dueAt: ctx.clock.now() }) };
}

function nameAside(directory: Directory, name: string, uid: string): string | undefined {
  return [namedById(name, uid), uid].find((candidate) => findDiskUid(directory, candidate) === undefined);
}

export async function findSetAside(
  ctx: UserContext<"table">,
  name: string,
): Promise<{ readonly name: string; readonly purgeAt: number } | undefined> {
  const owner = ctx.actor.uid;
  const { names } = await readDirectory(ctx, owner);
  const asides = names.filter(([diskName, uid]) => diskName === namedById(name, uid));
  const found = await Promise.all(
    asides.map(async ([diskName, uid]) => {
      const disk = await unlessUnreadable(ctx, () => findDisk(ctx, owner, uid));
      return disk?.phase === "deleted" && disk.purgeAt !== null ? [{ name: diskName, purgeAt: disk.purgeAt }] : [];
    }),
  );
  return found.flat().sort((left, right) => right.purgeAt - left.purgeAt)[0];
}
