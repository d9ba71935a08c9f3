import type { Context, UserContext } from "../../context.ts";
import { Problem, VolumeRefused } from "../../problem.ts";
import { requestReconcile } from "../../reconciler/request-reconcile.ts";
import { writeRecord } from "../../store/write-record.ts";
import { givingUp } from "../create.ts";
import { type Disk, snapshotTags } from "../record.ts";
import { type DiskView, findDiskWithDirectory, getDisk, whyNotFound, whyTaken } from "../view.ts";
import { changeDirectory, type Directory, findDiskUid, without } from "./directory.ts";
import { setAside } from "./set-aside.ts";

export interface Renamed {
  readonly snapshots: number;
  readonly updated: number;
  readonly errors: readonly string[];
}

/**
 * Renames a disk in one write of the directory, then tags its snapshots until `giveUpTags` aborts. A repeat with the
 * same `token` continues. Throws `notFound`, `gone`, or `conflict` (docs/apis/gpu-dev.md#disks).
 */
export async function renameDisk(
  ctx: UserContext<"table" | "queue" | "volumes">,
  name: string,
  newName: string,
  giveUpTags?: () => AbortSignal,
  token: string = ctx.ids.uid(),
): Promise<Renamed> {
  const { directory, view } = await findDiskWithDirectory(ctx, ctx.actor.uid, name);
  if (directory.writers.includes(token)) {
    return tagRenamed(ctx, (await getDisk(ctx, newName)).disk, newName, giveUpTags);
  }
  if (!view) throw await whyNotFound(ctx, name);
  requireRenamable(view, name);
  const { disk } = view;
  const give = async (knownDirectory?: Directory): Promise<boolean> => {
    let isTaken = false;
    const change = (present: Directory): Directory["names"] | undefined => {
      if (findDiskUid(present, name) !== disk.uid) throw new Problem("notFound", `Disk '${name}' not found`);
      isTaken = findDiskUid(present, newName) !== undefined;
      return isTaken ? undefined : [...without(present.names, disk.uid), [newName, disk.uid]];
    };
    await changeDirectory(ctx, ctx.actor.uid, change, knownDirectory, token);
    return !isTaken;
  };
  const isGiven =
    (await give(directory)) || ((await setAside(ctx, { ...disk, name: newName }, givingUp)) && (await give()));
  if (!isGiven) throw await whyTaken(ctx, newName);
  return tagRenamed(ctx, disk, newName, giveUpTags);
}

async function tagRenamed(
  ctx: UserContext<"table" | "queue" | "volumes">,
  disk: Disk,
  newName: string,
  giveUpTags: (() => AbortSignal) | undefined,
): Promise<Renamed> {
  const errors = await tagSnapshots(ctx, disk, newName, giveUpTags?.());
  const named: Disk = {
    ...disk,
    name: newName,
    taggedAs: errors.length === 0 ? newName : null,
    dueAt: ctx.clock.now(),
  };
  // If another write wins, the disk's next reconcile reads the name from the directory.
  if (await writeRecord(ctx, named)) await requestReconcile(ctx, disk);
  const { length } = disk.snapshots;
  return { snapshots: length, updated: length - errors.length, errors };
}

function requireRenamable({ disk, inUse, holder }: DiskView, name: string): void {
  if (disk.phase === "deleted") throw new Problem("gone", `Cannot rename disk '${name}' - it is marked for deletion`);
  if (inUse) {
    throw new Problem("conflict", `Cannot rename disk '${name}' - it is currently in use by reservation ${holder}`);
  }
}

export async function tagSnapshots(
  ctx: Context<"volumes">,
  disk: Disk,
  name: string,
  giveUp?: AbortSignal,
): Promise<string[]> {
  const results = await Promise.all(
    disk.snapshots.map(async ({ id }) => {
      try {
        const tagged = ctx.volumes.tagSnapshot(id, snapshotTags(disk, name));
        await (giveUp ? Promise.race([tagged, rejectOnAbort(giveUp)]) : tagged);
        return [];
      } catch (error) {
        if (!(error instanceof VolumeRefused)) ctx.log.warn("tagging failed", { snapshot: id, error: String(error) });
        return [`${id}: ${error instanceof VolumeRefused ? error.message : "The tag could not be written"}`];
      }
    }),
  );
  return results.flat();
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const tooLate = () => reject(new Error("No answer in time"));
    if (signal.aborted) tooLate();
    signal.addEventListener("abort", tooLate, { once: true });
  });
}
