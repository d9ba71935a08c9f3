import type { FreeUnits, Need } from "./free-units.ts";
import { REMOVAL_MS, type Reservation } from "./future.ts";

/**
 * Units in use and when they are expected back, by node, kept as things start and end: what a reserved start is made
 * of.
 */
export interface ExpectedEnds {
  /** The number of the share, for `remove`. */
  add(node: number, units: number, endsAt: number): number;
  remove(share: number): void;
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

/** When so many units will be free on each node. */
interface Times {
  readonly units: number;
  readonly at: Float64Array;
  /** The share that frees the last of them: of two at the same time the one that started earlier counts first. */
  readonly share: Int32Array;
  /** Up to where the changes are counted in. */
  seen: number;
}

/** Where something was to start first when it was last asked. */
interface Choice {
  readonly need: Need;
  nodes: readonly number[];
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
  const timesByUnits: Times[] = [];
  const choices: Choice[] = [];

  function timesOf(wanted: number): Times {
    const known = timesByUnits.find((times) => times.units === wanted);
    if (known) {
      for (; known.seen < changed.length; known.seen++) fill(known, changed[known.seen] ?? 0);
      return known;
    }
    const [at, share] = [new Float64Array(zones.length), new Int32Array(zones.length)];
    const times: Times = { units: wanted, at, share, seen: changed.length };
    for (let index = 0; index < zones.length; index++) fill(times, index);
    timesByUnits.push(times);
    return times;
  }

  function fill({ units: wanted, at, share }: Times, index: number): void {
    let sum = free.freeOn(index);
    let last = -1;
    for (let one = first[index] ?? -1; sum < wanted && one >= 0; one = next[one] ?? -1) {
      sum += unitsOf(one);
      last = one;
    }
    share[index] = last;
    at[index] = sum < wanted ? Infinity : last < 0 ? -Infinity : endOf(last);
  }

  /** Chosen anew only where a change matters to it. */
  function chosenFor(need: Need, times: Times): readonly number[] {
    const choice: Choice = choices.find((one) => isSame(one.need, need)) ?? { need, nodes: [], seen: -1 };
    if (choice.seen < 0) {
      choices.push(choice);
      choice.nodes = earliest(times, need, zones);
      choice.seen = changed.length;
    }
    const last = choice.nodes.length === need.machines ? choice.nodes.at(-1) : undefined;
    let isOld = false;
    for (; choice.seen < changed.length; choice.seen++) {
      const index = changed[choice.seen] ?? 0;
      isOld ||= last === undefined || choice.nodes.includes(index) || isSooner(times, index, last);
    }
    if (isOld) choice.nodes = earliest(times, need, zones);
    return choice.nodes;
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
    remove(share) {
      const index = nodeOf(share);
      let before = -1;
      for (let one = first[index] ?? -1; one !== share && one >= 0; one = next[one] ?? -1) before = one;
      if (before < 0) first[index] = next[share] ?? -1;
      else next[before] = next[share] ?? -1;
      changed.push(index);
    },
    reserve(uid, need, now) {
      const times = timesOf(need.units);
      const nodes = chosenFor(need, times);
      const last = nodes.at(-1);
      if (nodes.length < need.machines || last === undefined) return undefined;
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

/** The nodes, one for each machine, on which it will fit first, in that order. */
function earliest(times: Times, need: Need, zones: readonly (string | null)[]): number[] {
  const { at } = times;
  const found: number[] = [];
  let bound = Infinity;
  for (let index = 0; index < at.length; index++) {
    const time = at[index] ?? Infinity;
    if (time > bound || time === Infinity) continue;
    if (need.zone !== null && zones[index] !== null && zones[index] !== need.zone) continue;
    const place = found.findIndex((one) => isSooner(times, index, one));
    if (place < 0 && found.length === need.machines) continue;
    found.splice(place < 0 ? found.length : place, 0, index);
    if (found.length > need.machines) found.pop();
    if (found.length === need.machines) bound = at[found.at(-1) ?? 0] ?? Infinity;
  }
  return found;
}

function isSooner({ at, share }: Times, a: number, b: number): boolean {
  const [first = 0, second = 0] = [at[a], at[b]];
  return first < second || (first === second && (share[a] ?? 0) < (share[b] ?? 0));
}

function isSame(a: Need, b: Need): boolean {
  return a.machines === b.machines && a.units === b.units && a.zone === b.zone;
}
