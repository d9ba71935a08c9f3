import type { Environment, Withdrawn } from "../../environments/record/record.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import type { Grant, MakeableLedger, Shortage } from "./record.ts";

/** Karpenter does not ask again for 3 minutes for a type that EC2 lacks (its cache of unavailable offerings). */
const LEAST_PAUSE_MS = 3 * MINUTE_MS;
const LONGEST_PAUSE_MS = 30 * MINUTE_MS;
/**
 * The longest pause after a try that failed with a known cause. Such a try lasts seconds. Others last twice the startup
 * time, in which EC2 is asked several times.
 */
const LONGEST_PAUSE_WITH_CAUSE_MS = 12 * MINUTE_MS;
/** A try begins soon after the pause and may wait for hours. A try that fails later than this begins a new shortage. */
const REMEMBERED_MS = 12 * HOUR_MS;

type Shortages = Pick<MakeableLedger, "shortage" | "zoneShortages">;

type FailedTry = Pick<Withdrawn, "at" | "zone" | "lacks">;

/**
 * Returns the item with the shortages that these returned grants show: the machines that they waited for did not come.
 * A run that had to be in one zone says nothing about the others.
 */
export function noteShortage(
  makeable: MakeableLedger,
  returned: readonly Grant[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): MakeableLedger {
  const failed = returned.flatMap((old): FailedTry[] => {
    const record = knownEnvironments.get(old.key);
    const withdrawn = record?.uid === old.uid ? record.placement.withdrawn : null;
    return withdrawn?.run === old.run && withdrawn.lacksMachine ? [withdrawn] : [];
  });
  return failed.toSorted((a, b) => a.at - b.at).reduce(withFailedTry, makeable);
}

function withFailedTry(makeable: MakeableLedger, failed: FailedTry): MakeableLedger {
  const { at, zone } = failed;
  const before = zone === undefined ? makeable.shortage : makeable.zoneShortages?.[zone];
  const shortage = afterFailedTry(before, failed);
  if (shortage === before) return makeable;
  if (zone === undefined) return { ...makeable, shortage };
  const remembered = Object.entries(makeable.zoneShortages ?? {}).filter(([, old]) => isRecent(old, at));
  return { ...makeable, zoneShortages: { ...Object.fromEntries(remembered), [zone]: shortage } };
}

/** Returns the shortage of a group that reports that it can create no machine. */
export function beginShortage(at: number): Shortage {
  return afterFailedTry(undefined, { at });
}

/** Returns a shortage that still lasts, so that it stays recent. A pause that is over does not begin again. */
export function renewShortage(shortage: Shortage, now: number): Shortage {
  return now - shortage.until < REMEMBERED_MS / 2 ? shortage : { ...shortage, until: now };
}

/** Returns the shortages after new machines came in these zones. */
export function endShortages({ zoneShortages }: Shortages, zones: readonly string[]): Shortages {
  const left = Object.entries(zoneShortages ?? {}).filter(([zone]) => !zones.includes(zone));
  return { shortage: undefined, zoneShortages: left.length > 0 ? Object.fromEntries(left) : undefined };
}

/** Reports whether a shortage still tells something. Later, nothing has said for long that machines are lacking. */
export function isRecent(shortage: Shortage | undefined, now: number): shortage is Shortage {
  return shortage !== undefined && now - shortage.until < REMEMBERED_MS;
}

/** Returns the zones where no new machine comes now, and when the next try is, ms. */
export function getLackingZones({ zoneShortages = {} }: Shortages, now: number): ReadonlyMap<string, number> {
  const lacking = Object.entries(zoneShortages).filter(([, { until }]) => until > now);
  return new Map(lacking.map(([zone, { until }]) => [zone, until]));
}

/** Returns the zones that lacked machines lately. A plan creates machines there last. */
export function getScarceZones(
  { zoneShortages = {}, group }: Pick<MakeableLedger, "zoneShortages" | "group">,
  now: number,
): ReadonlySet<string> {
  const recent = Object.keys(zoneShortages).filter((zone) => isRecent(zoneShortages[zone], now));
  return new Set([...recent, ...Object.keys(group?.zoneLacks ?? {})]);
}

/**
 * Returns the zone for the volume of an environment whose machine does not exist yet: one of those that lacked no
 * machines lately, or that are tried again first. Consecutive numbers get different ones of these zones.
 */
export function zoneForVolume(
  { zoneShortages = {} }: Shortages,
  zones: readonly string[],
  number: number,
  now: number,
): string | undefined {
  const triedAt = (zone: string) => {
    const shortage = zoneShortages[zone];
    return isRecent(shortage, now) ? shortage.until : 0;
  };
  const soonest = Math.min(...zones.map(triedAt));
  const best = zones.filter((zone) => triedAt(zone) === soonest);
  return best[number % best.length];
}

/** Counts all runs that return during the pause as one try: they waited at the same time. */
function afterFailedTry(before: Shortage | undefined, { at, lacks }: Pick<FailedTry, "at" | "lacks">): Shortage {
  if (before && at < before.until) return before;
  const count = isRecent(before, at) ? before.count + 1 : 1;
  const longest = lacks ? LONGEST_PAUSE_WITH_CAUSE_MS : LONGEST_PAUSE_MS;
  const until = at + Math.min(LEAST_PAUSE_MS * 2 ** (count - 1), longest);
  return { count, failedAt: at, until, ...(lacks && { lacks }) };
}
