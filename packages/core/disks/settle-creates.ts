import { StepTooOld } from "../reconciler/budget.ts";
import {
  type PendingCreate,
  type PendingSnapshot,
  type PendingVolume,
  removeUnused,
  settlesAt,
} from "../reconciler/pending-creates.ts";
import type { WorkerContext } from "../reconciler/step.ts";
import { readHolders } from "./names/lease.ts";
import { type Disk, onDemandMark, volumesOf, withSnapshot } from "./record.ts";

/**
 * Finds volumes and snapshots that were made but not recorded, and adds or removes them. A failure is postponed and
 * delays nothing else.
 */
export async function settlePendingCreates(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  let settled = disk;
  for (const entry of disk.making) {
    const isDue = now >= settlesAt(entry);
    if (!isDue && disk.phase !== "purging") continue;
    const next = await settleEntry(ctx, settled, entry);
    const others = settled.making.filter((making) => making !== entry);
    const putOff = next === undefined ? [{ ...entry, at: now }] : [];
    const left = isDue ? putOff : [entry];
    settled = { ...(next ?? settled), making: [...others, ...left] };
  }
  return settled;
}

async function settleEntry(ctx: WorkerContext, disk: Disk, entry: PendingCreate): Promise<Disk | undefined> {
  try {
    return await (entry.kind === "volume" ? settleVolume(ctx, disk, entry) : settleSnapshot(ctx, disk, entry));
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("not looked for what was made", { disk: disk.uid, token: entry.token, error: String(error) });
    return undefined;
  }
}

async function settleVolume(ctx: WorkerContext, disk: Disk, entry: PendingVolume): Promise<Disk | undefined> {
  // Earlier volumes stay in the record until the purge; one that appears again was only hidden.
  const named = volumesOf(disk);
  const found = (await ctx.volumes.listVolumes(entry.token)).filter(({ id }) => !named.includes(id));
  const [first] = found;
  if (!first) return disk;
  if (disk.volume || disk.phase === "purging") return (await removeUnused(ctx, entry, found)) ? disk : undefined;
  // The holder is about to create a volume, perhaps in another zone.
  const { current } = (await readHolders(ctx, [disk])).get(disk.uid) ?? {};
  return current ? undefined : { ...disk, volume: { id: first.id, zone: first.zone } };
}

async function settleSnapshot(ctx: WorkerContext, disk: Disk, { from, token }: PendingSnapshot): Promise<Disk> {
  const knownSnapshotIds = new Set(disk.snapshots.map(({ id }) => id));
  const listed = await ctx.volumes.listSnapshots(from);
  const found = listed.filter(({ id, tags }) => tags.attempt === token && !knownSnapshotIds.has(id));
  const isWanted = (state: string) => state !== "failed" && disk.phase !== "purging";
  const onDemand = onDemandMark(ctx, token);
  let settled = disk;
  for (const { id, at, state } of found) {
    if (isWanted(state))
      settled = withSnapshot(settled, { id, at, completed: state === "completed", ...onDemand }, undefined);
    else await ctx.volumes.removeSnapshot(id);
  }
  // The backup that was given up, or is being made again, existed and was listed late.
  const isFound = found.some(({ state }) => state === "completed") && token.startsWith(`${disk.lost?.of}-`);
  return isFound ? { ...settled, lost: undefined } : settled;
}
