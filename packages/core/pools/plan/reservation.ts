import { popHeap, pushHeap } from "../../heap.ts";
import type { Share } from "../../ports/compute.ts";
import type { Allowed, FreeNode, FreeUnits, Need } from "./free-units.ts";
import type { Occupied, PlanInput, Waiting } from "./plan.ts";

export interface Release {
  readonly at: number;
  readonly node: number;
  readonly units: number;
}

/** The head's reserved start, and the units that it needs on each node then. */
export interface Reservation {
  readonly startsAt: number;
  readonly needs: ReadonlyMap<number, number>;
  /** Units that those nodes free until then. */
  readonly released: ReadonlyMap<number, number>;
}

/** Assumed time to remove an expired job. */
export const REMOVAL_MS = 30_000;

/**
 * Returns when an expired job is assumed to be gone. A removal that takes longer than usual, such as on an unresponsive
 * machine, is assumed to take as long again. Otherwise an estimate would promise the next 30 s for hours.
 */
export function goneAt(endsAt: number, now: number): number {
  return Math.max(endsAt, now + Math.max(REMOVAL_MS, now - endsAt));
}

/** Returns when its time is over. A job that waits for a new machine has not started yet. */
export function endTime({ shares, endsAt, at, size }: Occupied, { startupMs }: Pick<PlanInput, "startupMs">): number {
  const starting = shares.some((share) => share.node === null) ? startupMs : 0;
  return endsAt ?? at + size.wantedMs + starting;
}

/** Returns the releases of occupied units, earliest first. `earlier` adds releases that are already sorted. */
export function listReleases(
  occupied: readonly Occupied[],
  nodes: readonly FreeNode[],
  unpinned: ReadonlyMap<Share, number>,
  input: Pick<PlanInput, "now" | "startupMs">,
  earlier: readonly Release[] = [],
): readonly Release[] {
  if (occupied.length === 0) return earlier;
  const indexes = new Map(nodes.map((node, index) => [node.name, index]));
  const releases = [...earlier];
  for (const occupant of occupied) {
    const at = goneAt(endTime(occupant, input), input.now);
    for (const share of occupant.shares) {
      const index = share.node === null ? unpinned.get(share) : indexes.get(share.node);
      if (index !== undefined) releases.push({ at, node: index, units: share.units });
    }
  }
  // Sorting the sorted part takes one pass, and it stays first among equal times.
  return releases.sort((a, b) => a.at - b.at);
}

/**
 * Returns the earliest start of a job that does not fit now, or undefined if the known releases never free enough.
 * `openAt` returns the nodes that it may take at a start.
 */
export function reserve(
  need: Need,
  free: FreeUnits,
  releases: readonly Release[],
  { now, openAt }: { readonly now: number; openAt(startsAt: number): Allowed | undefined },
): Reservation | undefined {
  const later = free.copy();
  const released = new Map<number, number>();
  let startsAt = now;
  let placed = later.take(need, openAt(now));
  for (const { at, node, units } of releases) {
    if (placed) break;
    later.give(node, units);
    released.set(node, (released.get(node) ?? 0) + units);
    startsAt = at;
    placed = later.take(need, openAt(at));
  }
  if (!placed) return undefined;
  const needs = new Map(placed.nodes.map((node) => [node, need.units]));
  return { startsAt, needs, released };
}

interface StartLimits {
  readonly now: number;
  latestEnd(need: Need): number;
  openTo(endsAt: number): Allowed | undefined;
}

/**
 * Returns the earliest starts of waiting jobs in order: a job starts once those before it have started and enough is
 * free. Jobs may be backfilled, so this errs on the late side. Jobs that never fit are left out, and so are those that
 * would end too late by then: `latestEnd` and `openTo` say when the machines close.
 */
export function startTimes(
  waiting: readonly Waiting[],
  releases: readonly Release[],
  free: FreeUnits,
  { now, latestEnd, openTo }: StartLimits,
): Map<string, number> {
  const later = free.copy();
  const starts = new Map<string, number>();
  const coming = [...releases];
  let time = now;
  for (const entry of waiting) {
    const need = { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
    const { wantedMs } = entry.size;
    const latest = latestEnd(need) - wantedMs;
    let placed = later.take(need, openTo(time + wantedMs));
    while (!placed && (coming[0]?.at ?? Infinity) <= latest) {
      const release = popHeap(coming, earlier);
      if (!release) break;
      time = Math.max(time, release.at);
      later.give(release.node, release.units);
      placed = later.take(need, openTo(time + wantedMs));
    }
    if (!placed) continue;
    starts.set(entry.uid, time);
    for (const node of placed.nodes) {
      pushHeap(coming, { at: time + wantedMs, node, units: need.units }, earlier);
    }
  }
  return starts;
}

function earlier(a: Release, b: Release): boolean {
  return a.at < b.at;
}

/** Returns where a job may be backfilled: on other nodes, before the reserved start, or beside the reserved units. */
export function passes(reserved: Reservation, free: FreeUnits, need: Need, endsAt: number): Allowed {
  return (node) => {
    const wanted = reserved.needs.get(node);
    if (wanted === undefined || endsAt <= reserved.startsAt) return true;
    return free.freeOn(node) + (reserved.released.get(node) ?? 0) - need.units >= wanted;
  };
}
