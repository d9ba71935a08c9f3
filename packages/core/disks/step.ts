import type { Item } from "../ports/table.ts";
import { earliestConfirmableAt } from "../reconciler/pending-creates.ts";
import type { Step, WorkerContext } from "../reconciler/step.ts";
import { diskKey, keyOfText, keyText } from "../store/keys.ts";
import { sameData } from "../store/same-data.ts";
import { HOUR_MS } from "../units.ts";
import { isGone } from "./absence.ts";
import { settleRestores } from "./backups/from-snapshot.ts";
import { describeLostBackup, followSnapshots, makeAgain } from "./backups/lost-backup.ts";
import { isTagged } from "./backups/snapshot-tags.ts";
import { findOrigin, hasOnlyVolume, seekSource } from "./backups/source.ts";
import { takeSnapshot } from "./backups/take-snapshot.ts";
import { thinOut } from "./backups/thinning.ts";
import { letIdleVolumeGo, removeIdleVolume } from "./idle-volume.ts";
import { changeDirectory, type Directory, findDiskName, readDirectory, without } from "./names/directory.ts";
import { readHolders } from "./names/lease.ts";
import { tagSnapshots } from "./names/rename.ts";
import { LEASE_MS, nextAbsenceCheckAt, nextDueAt } from "./next-due.ts";
import { closeOperation } from "./operations.ts";
import { parseDisk } from "./parse.ts";
import {
  type Disk,
  type DiskSnapshot,
  hasPendingSnapshot,
  isClaimed,
  isVolumeGone,
  noVolumes,
  sighted,
  snapshotTags,
  volumesOf,
  withVolumeMissed,
  withVolumeSeen,
} from "./record.ts";
import { listSources, removalPauseMs, reportUnremoved, whyNot } from "./removal.ts";
import { settlePendingCreates } from "./settle-creates.ts";

const KEPT_MS = HOUR_MS;
const KEPT_SECONDS = 30 * 24 * 3600;
/** A table restored from a backup may contain deletions that were undone later. */
const KEPT_BY_OPERATOR = "It is not purged while ORPHANS_DRY_RUN is set";

export async function stepDisk(ctx: WorkerContext, item: Item, now: number): Promise<Step<Disk>> {
  const disk = parseDisk(item);
  if (disk.phase === "purged") return over({ ...disk, dueAt: undefined }, "purged");
  if (disk.operations.length > 0) return closeOperations(ctx, disk, now);
  if (disk.phase === "purging") return purge(ctx, disk, now);
  const awaited = await settleRestores(ctx, disk, now);
  if (!sameData(awaited, disk)) return noted(awaited, now, "settled restores from it");
  // The purge would leave the request open.
  const ended = disk.phase === "deleted" ? await takeSnapshot(ctx, disk, now) : undefined;
  if (ended) return ended;
  if (disk.phase === "deleted" && now >= (disk.purgeAt ?? Number.POSITIVE_INFINITY) && !isClaimed(disk)) {
    const holders = (await readHolders(ctx, [disk])).get(disk.uid);
    // The disk was deleted while its job was ending, which must still back it up and release it.
    if (holders?.current) return over({ ...disk, dueAt: now + LEASE_MS }, "is still held");
    if (ctx.settings.orphansDryRun) return over({ ...disk, dueAt: now + KEPT_MS }, "is kept", KEPT_BY_OPERATOR);
    if (disk.restores?.length) return stillRestoredFrom(ctx, disk, now);
    return over({ ...disk, phase: "purging", dueAt: now }, "begins its purge");
  }
  // Write each result before the next call can fail, because jobs wait for it.
  const followed = await followSnapshots(ctx, disk, now);
  if (!sameData(followed, disk)) return tellingHolder(noted(followed, now, "followed its backups"));
  const sought = await seekContents(ctx, disk, now);
  if (!sameData(sought, disk)) return noted(sought, now, "looked for its contents");
  const settled = await settlePendingCreates(ctx, disk, now);
  if (!sameData(settled, disk)) return noted(settled, now, "looked for what was made");
  const again = await makeAgain(ctx, disk, now);
  if (again) return again;
  const requested = await takeSnapshot(ctx, disk, now);
  if (requested) return tellingHolder(requested);
  const { disk: thinned, after } = await thinOut(ctx, disk, now);
  if (after) return { ...noted(thinned, now, "thins its backups out"), after };
  if (!sameData(thinned, disk)) return noted(thinned, now, "thinned its backups out");
  const freed = await removeIdleVolume(ctx, disk, now);
  if (!sameData(freed, disk)) return noted(freed, now, "removed its idle volume");
  const tagged = await retag(ctx, disk);
  const idle = await letIdleVolumeGo(ctx, tagged, now);
  if (idle !== tagged) return noted(idle, now, "looked at its idle volume");
  const dueAt = nextDueAt(tagged, now, ctx.settings.diskVolumeIdleDays);
  return tellingHolder(over({ ...tagged, dueAt }, "looked after", describeLostBackup(tagged, now)));
}

/** Searches for the sources of restores from this disk. Begins the purge once all of them count as gone. */
async function stillRestoredFrom(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk>> {
  const sources = listSources(disk);
  const checkSnapshot = async (snapshot: DiskSnapshot) => {
    if (!sources.has(snapshot.id)) return snapshot;
    return sighted(snapshot, (await ctx.volumes.findSnapshot(snapshot.id)) !== undefined, ctx.clock.now());
  };
  const checkedDisk = { ...disk, snapshots: await Promise.all(disk.snapshots.map(checkSnapshot)) };
  const isLeft = (candidate: DiskSnapshot) =>
    disk.restores?.some(({ snapshot }) => snapshot === candidate.id) && !isGone(candidate);
  if (!checkedDisk.snapshots.some(isLeft))
    return over({ ...checkedDisk, phase: "purging", dueAt: now }, "begins its purge");
  const checkAt = nextAbsenceCheckAt(checkedDisk.snapshots.filter(isLeft), now);
  const dueAt = Math.min(now + KEPT_MS, checkAt ?? Number.POSITIVE_INFINITY);
  return over({ ...checkedDisk, dueAt }, "is still restored from");
}

function tellingHolder(step: Step<Disk>): Step<Disk> {
  const { heldBy } = step.record;
  const holder = heldBy && !hasPendingSnapshot(step.record) ? keyOfText(heldBy.key) : undefined;
  return holder
    ? { ...step, notify: [{ key: holder, for: [keyText(diskKey(step.record.owner, step.record.uid))] }] }
    : step;
}

function over(record: Disk, log: string, fault = record.lost?.gaveUp ?? null): Step<Disk> {
  return { record: { ...record, attempts: 0, fault }, notify: [], log };
}

function noted(disk: Disk, now: number, log: string): Step<Disk> {
  return over({ ...disk, dueAt: now }, log, describeLostBackup(disk, now));
}

/** Searches for missing contents, because no other reconcile may come before the next job. */
async function seekContents(ctx: WorkerContext, disk: Disk, now: number): Promise<Disk> {
  const { volume, volumeMissedAt, lostAt } = disk;
  const isLost = lostAt !== undefined;
  const isAlone = hasOnlyVolume(disk);
  if (volume && (volumeMissedAt !== undefined || isLost || isAlone)) {
    if (await ctx.volumes.findVolume(volume.id)) return withVolumeSeen(disk, true, now);
    const missed = withVolumeMissed(disk, ctx.clock.now());
    if (isAlone && !isLost) return missOnlyVolume(ctx, missed);
    return seekMissedSource(ctx, missed);
  }
  return seekMissedSource(ctx, disk);
}

async function seekMissedSource(ctx: WorkerContext, disk: Disk): Promise<Disk> {
  if (disk.lostAt === undefined && findOrigin(disk)?.missedAt === undefined) return disk;
  return seekSource(ctx, disk);
}

/** Declares the disk lost here, since no job may ever open it. The time for which its source is kept begins now. */
function missOnlyVolume(ctx: WorkerContext, disk: Disk): Disk {
  if (!isVolumeGone(disk)) return disk;
  ctx.log.error("disk lost", { disk: disk.uid, volume: disk.volume?.id });
  return { ...disk, lostAt: ctx.clock.now() };
}

/** Closes requests, which were in effect from their answers on. */
async function closeOperations(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk>> {
  await Promise.all(disk.operations.map(({ id }) => closeOperation(ctx, disk.owner, id)));
  const phase = disk.phase === "creating" ? "available" : disk.phase;
  return over({ ...disk, phase, operations: [], dueAt: now }, "closed requests");
}

async function retag(ctx: WorkerContext, disk: Disk): Promise<Disk> {
  const directory = await readDirectory(ctx, disk.owner);
  const name = findDiskName(directory, disk.uid) ?? disk.name;
  if (disk.snapshots.length === 0) return { ...disk, name, taggedAs: name };
  const found = await Promise.all(disk.snapshots.map(({ id }) => ctx.volumes.findSnapshot(id)));
  const wanted = snapshotTags(disk, name);
  const wrong = found.some((snapshot) => snapshot && !isTagged(snapshot.tags, wanted));
  const snapshots = disk.snapshots.map((snapshot, index) =>
    snapshot.completed ? sighted(snapshot, found[index] !== undefined, ctx.clock.now()) : snapshot,
  );
  const tagged = { ...disk, name, snapshots };
  if (!wrong) return { ...tagged, taggedAs: name };
  const errors = await tagSnapshots(ctx, disk, name);
  return { ...tagged, taggedAs: errors.length === 0 ? name : null };
}

/** Removes everything, the name last. Idempotent. A failed removal delays neither the rest nor the name. */
async function purge(ctx: WorkerContext, disk: Disk, now: number): Promise<Step<Disk>> {
  const refused = await removeAll(ctx, disk);
  const settled = await settlePendingCreates(ctx, disk, now);
  const settles = earliestConfirmableAt(settled.making);
  if (settled.making.length === 0) refused.push(...(await freeName(ctx, disk)));
  if (refused.length > 0) {
    const again = now + removalPauseMs(disk.attempts + 1);
    return notPurged(ctx, settled, refused, Math.min(settles, again));
  }
  if (settled.making.length > 0) return over({ ...settled, dueAt: settles }, "waits to be purged");
  const ttl = Math.floor(now / 1000) + KEPT_SECONDS;
  return over({ ...settled, phase: "purged", snapshots: [], ...noVolumes, dueAt: undefined, ttl }, "purged");
}

async function removeAll(ctx: WorkerContext, disk: Disk): Promise<string[]> {
  const ids = new Set(disk.snapshots.map(({ id }) => id));
  const list = async (id: string) => {
    for (const otherSnapshot of await ctx.volumes.listSnapshots(id)) ids.add(otherSnapshot.id);
  };
  const volumes = volumesOf(disk);
  const unlisted = await Promise.all(volumes.map((id) => refusal(`snapshots of ${id}`, () => list(id))));
  const left = await Promise.all([...ids].map((id) => refusal(id, () => ctx.volumes.removeSnapshot(id))));
  const kept = await Promise.all(volumes.map((id) => refusal(id, () => ctx.volumes.removeVolume(id))));
  return [...unlisted.flat(), ...left.flat(), ...kept.flat()];
}

async function freeName(ctx: WorkerContext, { owner, uid }: Disk): Promise<string[]> {
  const change = ({ names }: Directory) =>
    names.some(([, diskUid]) => diskUid === uid) ? without(names, uid) : undefined;
  return refusal("its name", () => changeDirectory(ctx, owner, change));
}

async function refusal(operation: string, call: () => Promise<unknown>): Promise<string[]> {
  const why = await whyNot(call);
  return why === undefined ? [] : [`${operation}: ${why}`];
}

function notPurged(ctx: WorkerContext, disk: Disk, refused: readonly string[], dueAt: number): Step<Disk> {
  const attempts = disk.attempts + 1;
  reportUnremoved(ctx, "disk not purged", attempts, { disk: disk.uid, left: refused });
  const fault = `Cannot be purged: ${refused[0]}`.slice(0, 120);
  return { record: { ...disk, attempts, fault, dueAt }, notify: [], log: "could not be purged" };
}
