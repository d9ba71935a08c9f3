import { listEnds, openTo } from "./closings.ts";
import { canEverFit } from "./ever-fits.ts";
import { byAge, fairOrder } from "./fair-order.ts";
import { byNeed, type FreeNode, type FreeUnits, type Need } from "./free-units.ts";
import { hasStarted, isMadeIn } from "./new-machines.ts";
import type { PlanInput, QueuePlace, Waiting } from "./plan.ts";
import { type Release, startTimes } from "./reservation.ts";

export interface Planned {
  readonly nodes: readonly FreeNode[];
  readonly free: FreeUnits;
  readonly left: readonly Waiting[];
  /** Jobs in `left` that do not fit even on empty machines, or would still run when these close. */
  readonly hopeless: ReadonlySet<string>;
  /** Returns the latest end with which a need fits on empty machines (closings.ts), ms. */
  latestEnd(need: Need): number;
  /** Jobs in `left` that may fit on machines whose ledger items cannot be read. */
  readonly unread: ReadonlySet<string>;
  /** Reports whether a need that does not fit would fit without foreign pods. */
  isForeign(need: Need): boolean;
  /** Reports whether only the drain of a part of the pool keeps a need from starting. */
  isDrained(need: Need): boolean;
  releases(): readonly Release[];
  readonly usage: Map<string, number>;
  readonly unpinnedLeft: number;
}

/** Returns position, start and reason of each job without a grant. Jobs that can fit come first, by start. */
export function listPlaces(input: PlanInput, planned: Planned): QueuePlace[] {
  const { nodes, free, left, hopeless, unread, usage } = planned;
  const [total, largest] = [free.total(), free.largest()];
  const able = inTurn({ ...input, waiting: left.filter(({ uid }) => !hopeless.has(uid)) }, usage);
  const limits = { now: input.now, latestEnd: planned.latestEnd, openTo: (at: number) => openTo(nodes, input, at) };
  const starts = able.length > 0 ? startTimes(able, planned.releases(), free, limits) : new Map<string, number>();
  const closesAt = closingCheck(input, planned);
  const neededStart = startCheck(input, planned);
  const why = whyNotOn(planned);
  const isFirst = ({ uid }: Waiting) => uid === input.head;
  const others = left.filter(({ uid }) => hopeless.has(uid)).sort(byAge);
  const ordered = [...others.filter(isFirst), ...able, ...others.filter((entry) => !isFirst(entry))];
  return ordered.map((entry, index) => {
    const { machines, units } = entry.size;
    const base = { uid: entry.uid, position: index + 1, startsAt: starts.get(entry.uid) ?? null };
    if (input.closed) return { ...base, startsAt: null, code: input.closed, needed: machines * units, available: 0 };
    if (unread.has(entry.uid))
      return { ...base, code: "unreadable", needed: machines * units, available: nodes.length };
    if (planned.isDrained({ machines, units, zone: entry.zone }))
      return { ...base, code: "partDrained", needed: machines * units, available: 0 };
    const at = closesAt(entry);
    if (at !== undefined) return { ...base, code: "closing", needed: machines * units, available: at };
    if (nodes.length === 0) return { ...base, code: "none", needed: machines * units, available: 0 };
    if (hopeless.has(entry.uid) && planned.isForeign({ machines, units, zone: entry.zone }))
      return { ...base, code: "foreign", needed: machines * units, available: foreignUnits(input) };
    if (hopeless.has(entry.uid)) return { ...base, code: "never", needed: machines * units, available: nodes.length };
    const groupStart = neededStart({ machines, units, zone: entry.zone });
    if (groupStart !== undefined) return { ...base, code: "unmade", needed: machines * units, available: groupStart };
    const retryAt = findRetry(input, entry);
    if (retryAt !== undefined && !free.find({ machines, units, zone: entry.zone })) {
      // A pause of all zones is in the starts already.
      const triedAt = input.retryAt === undefined ? retryAt + input.startupMs : base.startsAt;
      const startsAt = base.startsAt === null ? triedAt : Math.min(base.startsAt, triedAt ?? Infinity);
      return { ...base, startsAt, code: "unmade", needed: machines * units, available: retryAt };
    }
    if (total < machines * units) return { ...base, code: "short", needed: machines * units, available: total };
    if (largest < units) return { ...base, code: "split", needed: units, available: largest };
    return { ...base, code: why({ machines, units, zone: entry.zone }), needed: machines * units, available: total };
  });
}

/**
 * Returns a function that finds the closing time that keeps a job from starting. It returns undefined if the job waits
 * for another reason.
 */
function closingCheck(input: PlanInput, { nodes, free, hopeless, latestEnd }: Planned) {
  const ends = input.closings ? listEnds(input) : [];
  const latestNow = byNeed((need) => ends.find((at) => free.find(need, openTo(nodes, input, at))) ?? Infinity);
  return ({ uid, size, zone }: Waiting): number | undefined => {
    const need = { machines: size.machines, units: size.units, zone };
    const latest = hopeless.has(uid) ? latestEnd(need) : latestNow(need);
    return Number.isFinite(latest) && input.now + size.wantedMs > latest ? latest : undefined;
  };
}

/**
 * Returns a function that finds the first start of a group without which a need never fits, ms. It returns undefined if
 * the need fits on machines that exist or may be created.
 */
function startCheck(input: PlanInput, { nodes }: Planned): (need: Need) => number | undefined {
  const starts = input.makeable.flatMap(({ startsAt }) => startsAt ?? []).sort((a, b) => a - b);
  if (starts.length === 0) return () => undefined;
  const fitsBy = (need: Need, time: number) => {
    const makeable = input.makeable.filter(({ startsAt = 0 }) => startsAt <= time);
    return canEverFit(nodes, { ...input, makeable }, need);
  };
  return byNeed((need) => (fitsBy(need, input.now) ? undefined : starts.find((at) => fitsBy(need, at))));
}

/** Returns when a new machine is tried again where the job can start, ms, or undefined if one may come now or never. */
function findRetry({ makeable, lackingZones, retryAt }: PlanInput, { zone }: Waiting): number | undefined {
  if (zone === null) return retryAt;
  if (!isMadeIn(makeable.filter(hasStarted), zone)) return undefined;
  const inZone = lackingZones?.get(zone);
  return retryAt === undefined ? inZone : Math.max(retryAt, inZone ?? 0);
}

function foreignUnits({ nodes }: PlanInput): number {
  return nodes.reduce((sum, { foreign = 0 }) => sum + foreign, 0);
}

/** Returns why a job got nothing although enough units are free. */
function whyNotOn({ nodes, free, unpinnedLeft }: Planned): (need: Need) => "elsewhere" | "making" | "behind" {
  return byNeed((need) => {
    if (free.find(need, (node) => nodes[node]?.name !== null)) return "behind";
    if (!free.find(need)) return "elsewhere";
    return unpinnedLeft < need.machines ? "making" : "behind";
  });
}

export function charge(usage: Map<string, number>, { owner, size }: Waiting): void {
  usage.set(owner, (usage.get(owner) ?? 0) + size.machines * size.units);
}

/** Orders jobs, with each start counted for its owner. */
function inTurn(input: PlanInput, usage: Map<string, number>): Waiting[] {
  const order: Waiting[] = [];
  for (const entry of fairOrder(input, usage)) {
    charge(usage, entry);
    order.push(entry);
  }
  return order;
}
