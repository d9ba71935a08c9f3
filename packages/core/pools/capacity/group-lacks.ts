import type { Lack } from "../../ports/machine-groups.ts";
import { sameData } from "../../store/same-data.ts";
import type { MakeableLedger, PoolGroup, Shortage } from "../ledger/record.ts";
import { beginShortage, renewShortage } from "../ledger/shortage.ts";

/**
 * Begins a shortage when the group begins to lack something, in a zone or in all of its zones, and ends it once the group
 * lacks nothing. An issue that moves to another zone of the group proves no machines in the former zone, so the shortage
 * there stays until the issue ends. A shortage that the provider never reported outlasts the issue.
 */
export function withGroup(makeable: MakeableLedger, group: PoolGroup | undefined, now: number): MakeableLedger {
  if (sameData(makeable.group, group)) return withRenewed(makeable, now);
  const before = makeable.group;
  const shortage = shortageAfter(makeable.shortage, before?.lacks, group?.lacks, now);
  const { zoneShortages = {} } = makeable;
  const names = new Set([...Object.keys(zoneShortages), ...Object.keys(group?.zoneLacks ?? {})]);
  const zones = [...names].flatMap((zone): [string, Shortage][] => {
    const [known, lacks] = [zoneShortages[zone], findLackIn(group, zone)];
    const isBeside = lacks === undefined && findLackBeside(group, zone) !== undefined;
    const reported = findLackIn(before, zone);
    if (isBeside) return known ? [[zone, reported ? { ...known, hasMoved: true } : known]] : [];
    const lacked = reported ?? (known?.hasMoved ? findLackBeside(before, zone) : undefined);
    const after = shortageAfter(known, lacked, lacks, now);
    return after ? [[zone, after]] : [];
  });
  return { ...makeable, group, shortage, zoneShortages: zones.length > 0 ? Object.fromEntries(zones) : undefined };
}

/** Remembers the shortages of a lack that the provider still reports. */
function withRenewed(makeable: MakeableLedger, now: number): MakeableLedger {
  const { group, shortage, zoneShortages = {} } = makeable;
  const zones = Object.entries(zoneShortages).map(([zone, known]): [string, Shortage] => {
    return [zone, findLackIn(group, zone) ? renewShortage(known, now) : known];
  });
  const renewed = {
    ...makeable,
    ...(shortage && group?.lacks && { shortage: renewShortage(shortage, now) }),
    ...(zones.length > 0 && { zoneShortages: Object.fromEntries(zones) }),
  };
  return sameData(renewed, makeable) ? makeable : renewed;
}

/** Returns what a group of this zone lacks in another of its zones. */
function findLackBeside({ members = [], zoneLacks = {} }: Partial<PoolGroup> = {}, zone: string): Lack | undefined {
  const near = members.filter(({ zones }) => zones.includes(zone)).flatMap(({ zones }) => zones);
  return near.map((other) => zoneLacks[other]).find((lacks) => lacks !== undefined);
}

/** Returns what the groups lack in a zone, there or in all of their zones. */
function findLackIn({ zones = [], lacks, zoneLacks }: Partial<PoolGroup> = {}, zone: string): Lack | undefined {
  return zoneLacks?.[zone] ?? (zones.includes(zone) ? lacks : undefined);
}

function shortageAfter(
  shortage: Shortage | undefined,
  before: Lack | undefined,
  lacks: Lack | undefined,
  now: number,
): Shortage | undefined {
  const isOver = shortage !== undefined && before === undefined && shortage.until <= now;
  if (lacks !== undefined) return shortage && !isOver ? shortage : beginShortage(now);
  return before === undefined ? shortage : undefined;
}
