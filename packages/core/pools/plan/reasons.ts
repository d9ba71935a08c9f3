import { instanceTypeOfPool } from "../../fleet.ts";
import type { Lack } from "../../ports/machine-groups.ts";
import { lackText, startText } from "../../text/lack-text.ts";
import { utcText } from "../../text/utc.ts";
import type { MakeableLedger } from "../ledger/record.ts";
import { listNewZones, type NewMachines } from "./new-machines.ts";
import type { Closure, QueuePlace, ReasonCode } from "./plan.ts";

type Place = Pick<QueuePlace, "position" | "needed" | "available" | "lacks">;
type ReasonText = (place: Place, kind: string, unit: string) => string;

const words = {
  none: ({ position }, kind) => `No ${kind} nodes available - position #${position} in queue`,
  never: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, more than the existing nodes have - position #${position} in queue`,
  foreign: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but pods of others hold ${available} of the existing ${unit} - position #${position} in queue`,
  short: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, only ${available} available - position #${position}`,
  split: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit} on one machine, at most ${available} are free on one - position #${position}`,
  making: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but no more jobs may wait for new machines - position #${position}`,
  unmade: ({ position, available, lacks }, kind) =>
    `${lacks ?? `No new ${kind} machine came`}; the next try is at ${utcText(available)} - position #${position}`,
  elsewhere: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but they are not free on machines where it can start - position #${position}`,
  behind: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but the free ones are kept for jobs before it - position #${position}`,
  partDrained: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but machines where it could start are drained or have ended - position #${position}`,
  closing: ({ position, needed, available, lacks }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, but the job would still run when ${lacks ?? closingText(["a part of the type"], available)} - position #${position}`,
  drained: ({ position }, kind) => `${closedText("drained", kind)} - position #${position}`,
  paused: ({ position }, kind) => `${closedText("paused", kind)} - position #${position}`,
  unreadable: ({ position, needed, available }, kind, unit) =>
    available > 0
      ? `Need ${needed} ${kind} ${unit}, more than the nodes with readable records have - position #${position}`
      : `No new ${kind} jobs are started at the moment: a record of ${kind} capacity is unreadable - position #${position}`,
} satisfies Record<ReasonCode, ReasonText>;

type Makeable = Pick<MakeableLedger, "group" | "shortage" | "zoneShortages">;

/** Returns why no machine of a pool is created, or undefined if neither its groups nor the last try say it. */
export function makeableText({ group, shortage }: Makeable, zones: readonly string[], pool: string) {
  return poolLackText(group?.lacks ?? shortage?.lacks, zones, pool);
}

/** Returns why no machine is created in a zone: `No new H100 machine came in us-east-1a` if nothing says why. */
export function zoneLackText({ group, zoneShortages }: Makeable, zone: string, pool: string): string {
  const lacks = group?.zoneLacks?.[zone] ?? group?.lacks ?? zoneShortages?.[zone]?.lacks;
  return poolLackText(lacks, [zone], pool) ?? `No new ${pool.toUpperCase()} machine came in ${zone}`;
}

/** Returns why the machines of groups that have not started do not come, by the time of their start, ms. */
export function startTexts(makeable: readonly NewMachines[], pool: string): Readonly<Record<string, string>> {
  const starting = Map.groupBy(
    makeable.filter(({ startsAt }) => startsAt !== undefined),
    ({ startsAt = 0 }) => startsAt,
  );
  const { name } = instanceTypeOfPool(pool);
  return Object.fromEntries([...starting].map(([at, groups]) => [at, startText(name, listNewZones(groups))]));
}

function poolLackText(lacks: Lack | undefined, zones: readonly string[], pool: string): string | undefined {
  return lacks && lackText(lacks, instanceTypeOfPool(pool).name, zones);
}

/**
 * Returns what operators will drain, or what closes because its provider ends it: `zone us-east-2a is drained at
 * 2026-01-20 18:30 UTC`, `node group block closes at 2026-01-20 18:30 UTC`.
 */
export function closingText(parts: readonly string[], at: number, isByProvider = false): string {
  const more = parts.length > MOST_NAMED ? [`${parts.length - MOST_NAMED} more`] : [];
  const named = [...parts.slice(0, MOST_NAMED), ...more].join(" and ");
  const [one, several] = isByProvider ? ["closes", "close"] : ["is drained", "are drained"];
  return `${named} ${parts.length === 1 ? one : several} at ${utcText(at)}`;
}

const MOST_NAMED = 3;

export function closedText(closed: Closure, pool: string): string {
  return `No new ${pool.toUpperCase()} jobs are started at the moment: ${closed} by the operator`;
}

/** Returns why a job waits: `Need 8 H100 GPUs, only 3 available - position #1`. */
export function reasonText(place: Place & Pick<QueuePlace, "code">, pool: string): string {
  const unit = getUnit(pool);
  return words[place.code](place, pool.toUpperCase(), unit);
}

/** Returns the text for a type without machines. `when` is the end of the wait: `at <time>`, `after <n> hours`. */
export function noMachineText(when: string): string {
  return `no such machine takes jobs now: unless one does, it ends by itself ${when}`;
}

export interface WaitEnd {
  /** ms. */
  readonly at: number;
  readonly when: string;
  readonly isFirst: boolean;
}

/** Returns a text if the estimated start, ms, is after the end of the wait. */
export function endsFirst(startsAt: number | null | undefined, { at, when, isFirst }: WaitEnd): string[] {
  if (startsAt === null || startsAt === undefined || startsAt <= at) return [];
  const unless = isFirst ? "" : ", unless it is the first in line by then";
  return [`it ends by itself ${when}, before it would start${unless}`];
}

/** Returns why a job would not start now although the last forecast had room. */
export function takenText({ needed, available }: Pick<QueuePlace, "needed" | "available">, pool: string): string {
  const need = `Need ${needed} ${pool.toUpperCase()} ${getUnit(pool)}`;
  const left =
    available < needed ? `only ${available} available` : "but they are not free on machines where it can start";
  return `${need}, ${left}; other jobs came since the last estimate, and the next one follows in seconds`;
}

function getUnit(pool: string): string {
  return pool.startsWith("cpu") ? "machines" : "GPUs";
}
