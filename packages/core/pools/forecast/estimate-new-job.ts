import { unitsByOwner } from "../ledger/units-by-owner.ts";
import { openInput } from "../plan/closings.ts";
import { withoutForeign } from "../plan/ever-fits.ts";
import type { Need } from "../plan/free-units.ts";
import type { Halt, PlanInput, QueuePlace, ReasonCode } from "../plan/plan.ts";
import { isInZone, zonesToTry } from "../plan/zones.ts";
import { latestStart } from "./calibration.ts";
import type { Expected, Forecast, Gap, Room } from "./forecast.ts";

export interface Turn extends Expected {
  readonly position: number;
  /** Units that its owner holds or has waiting before it. */
  readonly units: number;
  readonly need: Pick<Need, "machines" | "units">;
}

/** The last forecast without users' names. It answers estimates of jobs not yet submitted. */
export interface QueueSnapshot {
  readonly at: number;
  readonly later: number | null;
  readonly closed: Halt | null;
  readonly freeUnits: number;
  readonly waiting: number;
  readonly room: readonly Room[];
  /** Every nth turn if there are too many. */
  readonly turns: readonly Turn[];
  /** Units that each owner holds or waits for. Owners without units are left out. */
  readonly owners: Readonly<Record<string, number>>;
  /** Machines by zone and size, to tell what never fits. Zone null: can be created in any zone. */
  readonly machines: Machines;
  /** When machines close by planned drains, soonest first, and the machines that are left. Absent if none closes. */
  readonly closing?: readonly Closing[] | undefined;
  /** The machines without the pods of others, and the units that those pods hold. Absent if they hold none. */
  readonly withoutForeign?: { readonly machines: Machines; readonly units: number } | undefined;
}

interface Closing {
  readonly at: number;
  /** The drained parts and the time, as text for users. */
  readonly text: string;
  readonly machines: Machines;
}

type Machines = readonly (readonly [zone: string | null, units: number, count: number])[];

interface TimedNeed extends Need {
  readonly wantedMs: number;
}

export type JobSize = Omit<TimedNeed, "zone">;

export interface EstimateRequest extends TimedNeed {
  readonly owner: string;
}

/**
 * `code`, `needed` and `available` have the same meaning as in a plan. "now": starts at once. "later": after `after`.
 * "taken": other jobs took the room since the forecast, and `available` is left.
 */
export interface Answer extends Expected {
  readonly position: number;
  readonly code: ReasonCode | "now" | "later" | "taken";
  readonly needed: number;
  readonly available: number;
  /** If the code is "closing": the drained parts and the time, as text for users. */
  readonly lacks?: string | undefined;
  /** Lower bound of the start, ms: the time of the forecast, or how far it reaches if `code` is "later". */
  readonly after: number;
}

const MOST_TURNS = 400;
const MOST_OWNERS = 400;
/** The rest only lacks its words in estimates: their times know when machines close. */
const MOST_CLOSINGS = 4;
export const MOST_ALTERNATIVES = 3;

/** Places a new job behind its owner's others in the last forecast, without running a plan. */
export function estimateFor(standing: QueueSnapshot, question: EstimateRequest, now = standing.at): Answer {
  const { at, later, closed, freeUnits, waiting, turns } = standing;
  const held = Object.hasOwn(standing.owners, question.owner) ? (standing.owners[question.owner] ?? 0) : 0;
  const next = turns.find(({ units }) => units > held);
  const position = next?.position ?? waiting + 1;
  const needed = question.machines * question.units;
  const base = { position, needed, available: freeUnits, after: at };
  if (closed) return { ...base, p50: null, p90: null, code: closed, available: 0 };
  const { withoutForeign: others } = standing;
  if (!everFits(standing, question)) {
    if (others && everFits(others, question))
      return { ...base, p50: null, p90: null, code: "foreign", available: others.units };
    const count = standing.machines.reduce((sum, [, , machines]) => sum + machines, 0);
    return { ...base, p50: null, p90: null, code: count === 0 ? "none" : "never", available: count };
  }
  const closing = findClosing(standing, question, now);
  if (closing) return { ...base, p50: null, p90: null, code: "closing", available: closing.at, lacks: closing.text };
  // A later job in the order that wants as much cannot start before this one, unless it ends before a drain.
  const taken = standing.closing ? undefined : turns.find((turn) => turn.units > held && includes(turn.need, question));
  const room = roomFor(standing, question, now);
  const found = { p50: earlier(taken?.p50, room?.p50), p90: earlier(taken?.p90, room?.p90) };
  if (found.p50 === null) return { ...base, ...found, code: "later", available: 0, after: later ?? at };
  if (found.p50 <= at) return { ...base, p50: at, p90: at, code: "now" };
  if (freeUnits < needed) return { ...base, ...found, code: "short" };
  // First in line, but the free units are on partly used machines, in another zone, or on machines still to be created.
  return { ...base, ...found, code: position === 1 ? "elsewhere" : "behind" };
}

/** Returns when there is room for a job behind all that wait, ms; null if the last forecast knows none. */
export function startBehindAll(standing: QueueSnapshot, job: TimedNeed, now: number): number | null {
  const isHalted = standing.closed !== null || findClosing(standing, job, now) !== undefined;
  return isHalted ? null : (roomFor(standing, job, now)?.p50 ?? null);
}

/** Returns smaller sizes that would start earlier, soonest first, with the largest of those that start at once. */
export function alternativesTo<T extends EstimateRequest>(
  standing: QueueSnapshot,
  question: EstimateRequest,
  smaller: readonly T[],
  now = standing.at,
): { readonly question: T; readonly answer: Answer }[] {
  const answers = [...smaller]
    .sort((a, b) => b.machines * b.units - a.machines * a.units)
    .map((question) => ({ question, answer: estimateFor(standing, question, now) }));
  let soonest = estimateFor(standing, question, now).p50 ?? Infinity;
  const found: typeof answers = [];
  for (const alternative of answers) {
    const { p50 } = alternative.answer;
    if (p50 === null || p50 >= soonest) continue;
    soonest = p50;
    found.unshift(alternative);
  }
  return found.slice(0, MOST_ALTERNATIVES);
}

/** Returns the part of a forecast that is stored for estimates. `factor` widens the latest starts. */
export function takeQueueSnapshot(
  plan: PlanInput,
  { places, freeUnits }: { readonly places: readonly QueuePlace[]; readonly freeUnits: number },
  found: Forecast,
  factor: number,
): QueueSnapshot {
  const owners = new Map(unitsByOwner(plan.occupied));
  const entries = new Map(plan.waiting.map((entry) => [entry.uid, entry]));
  const expected = new Map(found.waiting.map((waitingJob) => [waitingJob.uid, shown(waitingJob, found.at, factor)]));
  const turns = places.flatMap(({ uid, position }): Turn[] => {
    const entry = entries.get(uid);
    if (!entry) return [];
    const { machines, units } = entry.size;
    const before = owners.get(entry.owner) ?? 0;
    owners.set(entry.owner, before + machines * units);
    const times = expected.get(uid);
    return times ? [{ position, units: before, need: { machines, units }, ...times }] : [];
  });
  const step = Math.ceil(turns.length / MOST_TURNS);
  const most = [...owners].filter(([, units]) => units > 0).sort(([, a], [, b]) => b - a);
  return {
    at: found.at,
    later: found.later,
    closed: plan.closed ?? null,
    freeUnits,
    waiting: places.length,
    room: found.room.map((room) => ({
      ...room,
      ...shown(room, found.at, factor),
      gaps: (room.gaps ?? []).map((gap) => shownGap(gap, found.at, factor)),
    })),
    turns: turns.filter((_, index) => index % step === 0),
    owners: Object.fromEntries(most.slice(0, MOST_OWNERS)),
    machines: getMachines(plan),
    ...withoutForeignFor(plan),
    ...closingIn(plan),
  };
}

function closingIn(plan: PlanInput): Pick<QueueSnapshot, "closing"> {
  if (!plan.closings) return {};
  const coming = [...plan.closings].filter(([at]) => at > plan.now);
  const soonest = coming.sort(([a], [b]) => a - b).slice(0, MOST_CLOSINGS);
  return { closing: soonest.map(([at, text]) => ({ at, text, machines: getMachines(openInput(plan, at + 1)) })) };
}

/** Returns the first closing without which the job would fit on empty machines, if it starts now. */
function findClosing({ closing = [] }: QueueSnapshot, need: TimedNeed, now: number): Closing | undefined {
  const before = closing.filter(({ at }) => at < now + need.wantedMs);
  return before.find(({ machines }) => !everFits({ machines }, need));
}

function withoutForeignFor(plan: PlanInput): Pick<QueueSnapshot, "withoutForeign"> {
  const units = plan.nodes.reduce((sum, { foreign = 0 }) => sum + foreign, 0);
  const machines = getMachines({ ...plan, nodes: plan.nodes.map(withoutForeign) });
  return units === 0 ? {} : { withoutForeign: { machines, units } };
}

function shown({ p50, p90 }: Expected, at: number, factor: number): Expected {
  const isNow = p90 === null || p90 <= at;
  return { p50: rounded(p50), p90: isNow ? p90 : rounded(latestStart({ at, p90 }, factor)) };
}

function shownGap([lastsMs, p50, p90]: Gap, at: number, factor: number): Gap {
  const times = shown({ p50, p90 }, at, factor);
  return [Math.floor(lastsMs), times.p50 ?? p50, times.p90];
}

function rounded(time: number | null): number | null {
  return time === null ? null : Math.round(time);
}

function getMachines({ nodes, makeable, unitsPerNode }: PlanInput): Machines {
  const counts = new Map<string, [zone: string | null, units: number, count: number]>();
  const kinds = nodes.map(({ zone, units }) => ({ zone: zone as string | null, units }));
  // A group of several zones may be in any of them, and `room` names them.
  const made = makeable.flatMap(({ count, zones }) => {
    const [zone = null] = zones.length === 1 ? zones : [];
    return Array.from({ length: count }, () => ({ zone, units: unitsPerNode }));
  });
  for (const { zone, units } of [...kinds, ...made]) {
    const key = `${units} ${zone ?? ""}`;
    const count = counts.get(key) ?? [zone, units, 0];
    count[2] += 1;
    counts.set(key, count);
  }
  return [...counts.values()];
}

function everFits({ machines }: Pick<QueueSnapshot, "machines">, need: Need): boolean {
  const large = machines.filter(([, units]) => units >= need.units).map(([zone, , count]) => ({ zone, count }));
  return zonesToTry(need, large).some((zone) => {
    const inZone = large.filter((some) => isInZone(some, zone));
    return inZone.reduce((sum, { count }) => sum + count, 0) >= need.machines;
  });
}

/** Returns the times of the smallest room that includes the need, or of an earlier gap that lasts long enough. */
function roomFor({ room }: QueueSnapshot, need: TimedNeed, now: number): Expected | undefined {
  const sizes = room.filter((room) => room.zone === need.zone && includes(room, need));
  const [least] = sizes.sort((a, b) => a.machines * a.units - b.machines * b.units);
  return gapFor(least?.gaps ?? [], need.wantedMs, now) ?? least;
}

function includes(a: Pick<Need, "machines" | "units">, b: Pick<Need, "machines" | "units">): boolean {
  return a.machines >= b.machines && a.units >= b.units;
}

function earlier(a: number | null = null, b: number | null = null): number | null {
  const time = Math.min(a ?? Infinity, b ?? Infinity);
  return time === Infinity ? null : time;
}

/** Returns the first gap that lasts long enough. A gap that has begun is shorter by the elapsed time. */
function gapFor(gaps: readonly Gap[], wantedMs: number, now: number): Expected | undefined {
  const found = gaps.find(([lastsMs, p50]) => Math.max(0, now - p50) + wantedMs <= lastsMs);
  return found && { p50: found[1], p90: found[2] };
}
