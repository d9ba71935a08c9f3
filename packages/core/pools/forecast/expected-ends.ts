import type { FreeUnits, Need } from "../plan/free-units.ts";
import { type NodeOrder, nodeOrder } from "../plan/node-order.ts";
import { REMOVAL_MS, type Reservation } from "./future.ts";

/**
 * Units in use and when they are expected back, by node, kept as things start and end: what a reserved start is made
 * of.
 */
export interface ExpectedEnds {
  /** Returns the number of the share, for `giveBack`: the numbers count up from 0. */
  add(node: number, units: number, endsAt: number): number;
  /** Ends a share: its units are free. Returns how many. */
  giveBack(share: number): number;
  /** The same as future.ts's `reserve`, for one that does not fit now. */
  reserve(uid: string, need: Need, now: number): Reservation | undefined;
  /** To be called once all shares of the original are added. */
  copy(free: FreeUnits): ExpectedEnds;
}

/** The shares, which never change. Copies use the same shares and add their own after them. */
interface Shares {
  readonly node: readonly number[];
  readonly units: readonly number[];
  readonly endsAt: readonly number[];
}

/** The order in which the shares of each node end. */
interface Order {
  /** The share on the same node that ends next; -1: none. */
  readonly next: number[];
  /** By node: the share that ends first. */
  readonly first: number[];
}

const noShares: Shares = { node: [], units: [], endsAt: [] };

/** The expected time at which each node of a zone has this many free units, and the nodes in the order of that time. */
interface Times {
  readonly units: number;
  readonly zone: string | null;
  /** -Infinity: they are free. Infinity: so many never will be. */
  readonly at: Float64Array;
  /** The share that frees the last of them: of two at the same time the one that started earlier counts first. */
  readonly share: Int32Array;
  readonly order: NodeOrder;
  /** Up to where the changes are counted in. */
  seen: number;
}

export function expectedEnds(zones: readonly (string | null)[], free: FreeUnits): ExpectedEnds {
  return endsOf(zones, free, noShares, { next: [], first: zones.map(() => -1) });
}

function endsOf(
  zones: readonly (string | null)[],
  free: FreeUnits,
  common: Shares,
  { next, first }: Order,
): ExpectedEnds {
  const count = common.node.length;
  const own = { node: [] as number[], units: [] as number[], endsAt: [] as number[] };
  const nodeOf = (share: number) => (share < count ? common.node[share] : own.node[share - count]) ?? 0;
  const unitsOf = (share: number) => (share < count ? common.units[share] : own.units[share - count]) ?? 0;
  const endOf = (share: number) => (share < count ? common.endsAt[share] : own.endsAt[share - count]) ?? 0;
  const changed: number[] = [];
  let whole: Shares | undefined;
  const all: Times[] = [];

  function timesOf({ units, zone }: Need): Times {
    const known = all.find((times) => times.units === units && times.zone === zone);
    if (!known) return newTimes(units, zone);
    for (; known.seen < changed.length; known.seen++) {
      const index = changed[known.seen] ?? 0;
      fill(known, index);
      known.order.update(index);
    }
    return known;
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
    for (let one = first[index] ?? -1; sum < wanted && one >= 0; one = next[one] ?? -1) {
      sum += unitsOf(one);
      last = one;
    }
    share[index] = last;
    at[index] = sum < wanted ? Infinity : last < 0 ? -Infinity : endOf(last);
  }

  /** Units of a node that come free until then, in the order of the ends. */
  function releasedOn(index: number, until: Moment, now: number): number {
    let sum = 0;
    for (let one = first[index] ?? -1; one >= 0; one = next[one] ?? -1) {
      const at = Math.max(endOf(one), now + REMOVAL_MS);
      if (at < until.at || (at === until.at && one <= until.share)) sum += unitsOf(one);
    }
    return sum;
  }

  return {
    add(index, units, at) {
      const share = count + own.node.push(index) - 1;
      own.units.push(units);
      own.endsAt.push(at);
      let before = -1;
      for (let one = first[index] ?? -1; one >= 0 && endOf(one) <= at; one = next[one] ?? -1) before = one;
      next.push((before < 0 ? first[index] : next[before]) ?? -1);
      if (before < 0) first[index] = share;
      else next[before] = share;
      changed.push(index);
      return share;
    },
    giveBack(share) {
      const [index, units] = [nodeOf(share), unitsOf(share)];
      let before = -1;
      for (let one = first[index] ?? -1; one !== share && one >= 0; one = next[one] ?? -1) before = one;
      if (before < 0) first[index] = next[share] ?? -1;
      else next[before] = next[share] ?? -1;
      changed.push(index);
      free.give(index, units);
      return units;
    },
    reserve(uid, need, now) {
      const times = timesOf(need);
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
        node: [...common.node, ...own.node],
        units: [...common.units, ...own.units],
        endsAt: [...common.endsAt, ...own.endsAt],
      };
      return endsOf(zones, freeThen, whole, { next: next.slice(), first: first.slice() });
    },
  };
}

interface Moment {
  readonly at: number;
  readonly share: number;
}
