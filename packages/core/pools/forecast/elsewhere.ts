import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { type JobSize, type QueueSnapshot, startBehindAll } from "./estimate-new-job.ts";
import { ELSEWHERE } from "./forecast.ts";

/** The wait of a job whose disk keeps it in one zone. */
interface PinnedWait {
  readonly zone: string;
  /** The estimated start in its zone, ms; null if none is in sight. */
  readonly startsAt: number | null;
  /** Whether its volume was just made for it, so that another one costs nothing. */
  readonly isMadeForIt: boolean;
  /** Zones where no new machines come now. */
  readonly lackingZones: readonly string[];
  readonly now: number;
}

/** EBS reads each block of a volume from S3 at its first use, so a warm volume is worth some waiting. */
const LEAST_GAIN_MS = 15 * MINUTE_MS;
const LEAST_GAIN_OF_FRESH_MS = MINUTE_MS;
/** An estimate counts the next try as a success. In a zone that lacked machines, it may fail for hours. */
const LEAST_WAIT_IN_LACKING_ZONE_MS = HOUR_MS;

/** Reports whether a job would start so much sooner in another zone that its disk should be made again there. */
export function startsSoonerElsewhere(
  snapshot: QueueSnapshot,
  { machines, units, wantedMs }: JobSize,
  { zone: own, startsAt, isMadeForIt, lackingZones, now }: PinnedWait,
): boolean {
  const zones = new Set(snapshot.room.flatMap(({ zone }) => zone ?? []));
  for (const zone of [ELSEWHERE, own, ...lackingZones]) zones.delete(zone);
  const starts = [...zones].map(
    (zone) => startBehindAll(snapshot, { machines, units, wantedMs, zone }, now) ?? Infinity,
  );
  const soonest = Math.max(now, Math.min(...starts));
  const leastWaitMs = lackingZones.includes(own) ? LEAST_WAIT_IN_LACKING_ZONE_MS : 0;
  const ownStart = Math.max(startsAt ?? Infinity, now + leastWaitMs);
  return soonest + (isMadeForIt ? LEAST_GAIN_OF_FRESH_MS : LEAST_GAIN_MS) <= ownStart && soonest < Infinity;
}
