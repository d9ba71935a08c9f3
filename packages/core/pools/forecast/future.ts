import { popHeap, pushHeap } from "../../heap.ts";
import type { Share } from "../../ports/compute.ts";
import type { FreeNode, FreeUnits, Need } from "../plan/free-units.ts";
import type { Occupied, PlanInput, Waiting } from "../plan/plan.ts";

/** Units that come free on one node. */
export interface Release {
  readonly at: number;
  /** Index of the node. */
  readonly node: number;
  readonly units: number;
}

/** The start that the head keeps: when, and how many units it then needs on which node. */
export interface Reservation {
  readonly uid: string;
  readonly startsAt: number;
  readonly needs: ReadonlyMap<number, number>;
  /** Units that come free on those nodes until then. */
  readonly released: ReadonlyMap<number, number>;
}

/** Somebody whose time is over is being removed: assume half a minute. */
export const REMOVAL_MS = 30_000;

/**
 * When somebody is believed to be gone whose time ends then. What is removed for longer than usual, as on a machine that
 * does not answer, is believed to take as long again: an estimate would promise the next half a minute for hours.
 */
export function goneAt(endsAt: number, now: number): number {
  return Math.max(endsAt, now + Math.max(REMOVAL_MS, now - endsAt));
}

/** When its time is over. One that waits for a machine has not begun. */
export function endOf({ shares, endsAt, at, size }: Occupied, { startupMs }: Pick<PlanInput, "startupMs">): number {
  const starting = shares.some((share) => share.node === null) ? startupMs : 0;
  return endsAt ?? at + size.wantedMs + starting;
}

/** Returns when occupied units come free, the earliest first. `earlier` adds releases that are sorted already. */
export function releasesOf(
  occupied: readonly Occupied[],
  nodes: readonly FreeNode[],
  unpinned: ReadonlyMap<Share, number>,
  input: Pick<PlanInput, "now" | "startupMs">,
  earlier: readonly Release[] = [],
): readonly Release[] {
  if (occupied.length === 0) return earlier;
  const indexes = new Map(nodes.map((node, index) => [node.name, index]));
  const releases = [...earlier];
  for (const one of occupied) {
    const at = goneAt(endOf(one, input), input.now);
    for (const share of one.shares) {
      const index = share.node === null ? unpinned.get(share) : indexes.get(share.node);
      if (index !== undefined) releases.push({ at, node: index, units: share.units });
    }
  }
  // The sorted part costs one pass, and stays first among equal times.
  return releases.sort((a, b) => a.at - b.at);
}

/** The earliest start of one that does not fit now, if nobody delays it; undefined when nothing that is known frees it. */
export function reserve(
  entry: Waiting,
  need: Need,
  free: FreeUnits,
  releases: readonly Release[],
  now: number,
): Reservation | undefined {
  const later = free.copy();
  const released = new Map<number, number>();
  let startsAt = now;
  let placed = later.take(need);
  for (const { at, node, units } of releases) {
    if (placed) break;
    later.give(node, units);
    released.set(node, (released.get(node) ?? 0) + units);
    startsAt = at;
    placed = later.take(need);
  }
  if (!placed) return undefined;
  const needs = new Map(placed.nodes.map((node) => [node, need.units]));
  return { uid: entry.uid, startsAt, needs, released };
}

/**
 * Earliest starts of those who wait, in their order: everybody starts when those before have started and enough is
 * free. Later ones may pass, so this errs to the late side. Absent: nothing that is known would free enough.
 */
export function startTimes(
  waiting: readonly Waiting[],
  releases: readonly Release[],
  free: FreeUnits,
  input: Pick<PlanInput, "now" | "startupMs">,
): Map<string, number> {
  const later = free.copy();
  const starts = new Map<string, number>();
  const coming = [...releases];
  let time = input.now;
  for (const entry of waiting) {
    const need = { machines: entry.size.machines, units: entry.size.units, zone: entry.zone };
    let placed = later.take(need);
    while (!placed) {
      const release = popHeap(coming, earlier);
      if (!release) break;
      time = Math.max(time, release.at);
      later.give(release.node, release.units);
      placed = later.take(need);
    }
    if (!placed) continue;
    starts.set(entry.uid, time);
    for (const node of placed.nodes) {
      pushHeap(coming, { at: time + entry.size.wantedMs, node, units: need.units }, earlier);
    }
  }
  return starts;
}

function earlier(a: Release, b: Release): boolean {
  return a.at < b.at;
}
