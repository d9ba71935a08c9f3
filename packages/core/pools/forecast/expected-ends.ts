import type { FreeUnits, Need } from "../plan/free-units.ts";
import { type NodeOrder, nodeOrder } from "../plan/node-order.ts";
import { REMOVAL_MS, type Reservation } from "./reservation.ts";

/** Units in use and their expected ends, by node. Updated as jobs start and end, and used to reserve a start. */
export interface ExpectedEnds {
  /** Returns the number of the share, for `giveBack`. Numbers count up from 0. */
  add(node: number, units: number, endsAt: number): number;
  /** Ends a share and returns the number of units that it frees. */
  giveBack(share: number): number;
  /** Like `reserve` in reservation.ts, for a need that does not fit now. */
  reserve(uid: string, need: Need, now: number): Reservation | undefined;
  /** Call it only after all shares of the original are added. */
  copy(free: FreeUnits): ExpectedEnds;
}

/** Immutable shares. Copies reuse them and append their own. */
interface Shares {
  readonly node: readonly number[];
  readonly units: readonly number[];
  readonly endsAt: readonly number[];
}

interface Order {
  /** The next share to end on the same node, or -1. */
  readonly next: number[];
  readonly first: number[];
}

const noShares: Shares = { node: [], units: [], endsAt: [] };

/** When each node of a zone is expected to have this many free units, and the nodes ordered by that time. */
interface Times {
  readonly units: number;
  readonly zone: string | null;
  /** -Infinity if the units are free now, Infinity if they never will be. */
  readonly at: Float64Array;
  /** The share that frees the last of the units. Ties go to the one that started earlier. */
  readonly share: Int32Array;
  readonly order: NodeOrder;
  seen: number;
}

export function expectedEnds(zones: readonly (string | null)[], free: FreeUnits): ExpectedEnds {
  return listEnds(zones, free, noShares, { next: [], first: zones.map(() => -1) });
}

function listEnds(
  zones: readonly (string | null)[],
  free: FreeUnits,
  common: Shares,
  { next, first }: Order,
): ExpectedEnds {
  const count = common.node.length;
  const ownReleases = { node: [] as number[], units: [] as number[], endsAt: [] as number[] };
  const getNode = (share: number) => (share < count ? common.node[share] : ownReleases.node[share - count]) ?? 0;
  const getUnits = (share: number) => (share < count ? common.units[share] : ownReleases.units[share - count]) ?? 0;
  const getEnd = (share: number) => (share < count ? common.endsAt[share] : ownReleases.endsAt[share - count]) ?? 0;
  const changed: number[] = [];
  let whole: Shares | undefined;
  const all: Times[] = [];

  function getTimes({ units, zone }: Need): Times {
    const knownTimes = all.find((times) => times.units === units && times.zone === zone);
    if (!knownTimes) return newTimes(units, zone);
    for (; knownTimes.seen < changed.length; knownTimes.seen++) {
      const index = changed[knownTimes.seen] ?? 0;
      fill(knownTimes, index);
      knownTimes.order.update(index);
    }
    return knownTimes;
  }

  function newTimes(units: number, zone: string | null): Times {
    const [at, share] = [new Float64Array(zones.length), new Int32Array(zones.length)];
    const nodes: number[] = [];
    for (let index = 0; index < zones.length; index++) {
      fill({ units, at, share }, index);
      if (zone === null || zones[index] === null || zones[index] === zone) nodes.push(index);
    }
    const times: Times = { units, zone, at, share, order: nodeOrder(nodes, isSooner), seen: changed.length };
    all.push(times);
    return times;

    function isSooner(a: number, b: number): boolean {
      return ((at[a] ?? 0) - (at[b] ?? 0) || (share[a] ?? 0) - (share[b] ?? 0) || a - b) < 0;
    }
  }

  function fill({ units: wanted, at, share }: Pick<Times, "units" | "at" | "share">, index: number): void {
    let sum = free.freeOn(index);
    let last = -1;
    for (let value = first[index] ?? -1; sum < wanted && value >= 0; value = next[value] ?? -1) {
      sum += getUnits(value);
      last = value;
    }
    share[index] = last;
    at[index] = sum < wanted ? Infinity : last < 0 ? -Infinity : getEnd(last);
  }

  function releasedOn(index: number, until: Moment, now: number): number {
    let sum = 0;
    for (let value = first[index] ?? -1; value >= 0; value = next[value] ?? -1) {
      const at = Math.max(getEnd(value), now + REMOVAL_MS);
      if (at < until.at || (at === until.at && value <= until.share)) sum += getUnits(value);
    }
    return sum;
  }

  return {
    add(index, units, at) {
      const share = count + ownReleases.node.push(index) - 1;
      ownReleases.units.push(units);
      ownReleases.endsAt.push(at);
      let before = -1;
      for (
        let shareIndex = first[index] ?? -1;
        shareIndex >= 0 && getEnd(shareIndex) <= at;
        shareIndex = next[shareIndex] ?? -1
      )
        before = shareIndex;
      next.push((before < 0 ? first[index] : next[before]) ?? -1);
      if (before < 0) first[index] = share;
      else next[before] = share;
      changed.push(index);
      return share;
    },
    giveBack(share) {
      const [index, units] = [getNode(share), getUnits(share)];
      let before = -1;
      for (let value = first[index] ?? -1; value !== share && value >= 0; value = next[value] ?? -1) before = value;
      if (before < 0) first[index] = next[share] ?? -1;
      else next[before] = next[share] ?? -1;
      changed.push(index);
      free.give(index, units);
      return units;
    },
    reserve(uid, need, now) {
      const times = getTimes(need);
      const nodes = times.order.first(need.machines);
      const last = nodes.at(-1);
      if (nodes.length < need.machines || last === undefined || times.at[last] === Infinity) return undefined;
      const startsAt = Math.max(times.at[last] ?? 0, now + REMOVAL_MS);
      const until = { at: startsAt, share: times.share[last] ?? 0 };
      const released = new Map(nodes.map((index) => [index, releasedOn(index, until, now)]));
      return { uid, startsAt, needs: new Map(nodes.map((index) => [index, need.units])), released };
    },
    copy(freeThen) {
      whole ??= {
        node: [...common.node, ...ownReleases.node],
        units: [...common.units, ...ownReleases.units],
        endsAt: [...common.endsAt, ...ownReleases.endsAt],
      };
      return listEnds(zones, freeThen, whole, { next: next.slice(), first: first.slice() });
    },
  };
}

interface Moment {
  readonly at: number;
  readonly share: number;
}
