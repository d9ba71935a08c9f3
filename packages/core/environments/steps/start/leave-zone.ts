import { letVolumeGo } from "../../../disks/idle-volume.ts";
import { type Disk, zonePinnedBy } from "../../../disks/record.ts";
import { isReplaceable, replacesVolumes } from "../../../disks/replaceable.ts";
import { readAdvice } from "../../../pools/forecast/advice.ts";
import { startsSoonerElsewhere } from "../../../pools/forecast/elsewhere.ts";
import { standingIn } from "../../../pools/forecast/stored-forecast.ts";
import type { WorkerContext } from "../../../reconciler/step.ts";
import { forecastKey } from "../../../store/keys.ts";
import { MINUTE_MS } from "../../../units.ts";
import { mayHaveWritten } from "../../record/disk/disk-use.ts";
import type { Environment } from "../../record/record.ts";
import { findVolumesZone } from "./take-grant.ts";

/** A disk that keeps its job in one zone, although its volume could be made in any. */
export interface MovableDisk {
  readonly disk: Disk;
  readonly name: string;
}

const LONGEST_LOOK_MS = 5 * MINUTE_MS;

/** Returns the disk of a waiting environment if only this disk keeps the environment in its zone, and may leave it. */
export function findMovableDisk(
  ctx: WorkerContext,
  environment: Environment,
  disk: Disk | null,
): MovableDisk | undefined {
  const { disk: use } = environment;
  if (!use || !disk || mayHaveWritten(use) || !replacesVolumes(ctx.settings)) return undefined;
  const isPinned = zonePinnedBy(disk.volume) !== null && findVolumesZone(environment) === null;
  return isPinned && isReplaceable(disk, environment.uid) ? { disk, name: use.name } : undefined;
}

/**
 * Returns the environment's disk without its volume if the environment would start sooner in another zone. The next
 * volume is made where its machine is. Write the disk together with the environment.
 */
export async function leaveZone(
  ctx: WorkerContext,
  environment: Environment,
  disk: Disk,
  now: number,
): Promise<Disk | undefined> {
  const { uid, size, zone } = environment;
  const [advice, item] = await Promise.all([
    readAdvice(ctx, [environment]),
    ctx.table.get(forecastKey(size.pool, null)),
  ]);
  const own = advice.get(uid);
  const standing = standingIn(item, now);
  if (zone === null || !standing || !own || !(own.start ?? own.place)) return undefined;
  const startsAt = own.start ? own.start.p50 : (own.place?.startsAt ?? null);
  const wait = { zone, startsAt, isMadeForIt: disk.restored?.by === uid, lackingZones: own.lackingZones, now };
  if (!startsSoonerElsewhere(standing, size, wait)) return undefined;
  const left = await letVolumeGo(ctx, disk, uid);
  return left.volume === null ? { ...left, dueAt: now } : undefined;
}

/** Returns how long to wait for the next look at other zones: a quarter of the wait so far, at most five minutes. */
export function zoneLookMs({ queuedAt, placement }: Environment, now: number): number {
  const since = Math.max(queuedAt, placement.withdrawn?.at ?? 0);
  return Math.min(LONGEST_LOOK_MS, Math.max(MINUTE_MS, (now - since) / 4));
}
