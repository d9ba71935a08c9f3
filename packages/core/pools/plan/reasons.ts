import type { Closure, Place, ReasonCode } from "./plan.ts";

type Words = (place: Pick<Place, "position" | "needed" | "available">, kind: string, unit: string) => string;

const words = {
  none: ({ position }, kind) => `No ${kind} nodes available - position #${position} in queue`,
  never: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, more than the present nodes can give - position #${position} in queue`,
  foreign: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, and pods that are not this deployment's hold ${available} of the present ${unit} - position #${position} in queue`,
  short: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, only ${available} available - position #${position}`,
  split: ({ position, needed, available }, kind, unit) =>
    `Need ${needed} ${kind} ${unit} on one machine, at most ${available} are free on one - position #${position}`,
  making: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, and as many as possible wait for new machines already - position #${position}`,
  elsewhere: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, and no machines that it could start on have them free - position #${position}`,
  behind: ({ position, needed }, kind, unit) =>
    `Need ${needed} ${kind} ${unit}, which are kept for those before it - position #${position}`,
  drained: ({ position }, kind) => `${closedText("drained", kind)} - position #${position}`,
  paused: ({ position }, kind) => `${closedText("paused", kind)} - position #${position}`,
  unreadable: ({ position, needed, available }, kind, unit) =>
    available > 0
      ? `Need ${needed} ${kind} ${unit}, more than those nodes can give whose records can be read - position #${position}`
      : `No new ${kind} jobs are started at the moment: a record of who has ${kind} capacity cannot be read - position #${position}`,
} satisfies Record<ReasonCode, Words>;

/** Says that the operator closed a type. */
export function closedText(closed: Closure, pool: string): string {
  return `No new ${pool.toUpperCase()} jobs are started at the moment: ${closed} by the operator`;
}

/** Why somebody waits, in words: `Need 8 H100 GPUs, only 3 available - position #1`. */
export function reasonText(place: Pick<Place, "position" | "code" | "needed" | "available">, pool: string): string {
  const unit = unitOf(pool);
  return words[place.code](place, pool.toUpperCase(), unit);
}

/**
 * What follows for who waits for a type of which there is no machine and no node group would make one; `when` it ends:
 * `at <time>`, `after <n> hours`.
 */
export function noMachineText(when: string): string {
  return `this deployment has no such machine now: unless one comes, it ends by itself ${when}`;
}

/** When a wait ends by itself. */
export interface WaitEnd {
  /** ms. */
  readonly at: number;
  /** The same in words. */
  readonly when: string;
  /** It is the first in line, and so its wait ends later than others'. */
  readonly isFirst: boolean;
}

/** What follows where the start that is told, ms, lies behind the end of the wait: one text, or none. */
export function endsFirst(startsAt: number | null | undefined, { at, when, isFirst }: WaitEnd): string[] {
  if (startsAt === null || startsAt === undefined || startsAt <= at) return [];
  const unless = isFirst ? "" : ", unless it is the first in line by then";
  return [`it ends by itself ${when}, before it would start${unless}`];
}

/** Why somebody who asks would not start now although the last forecast had room. */
export function takenText({ needed, available }: Pick<Place, "needed" | "available">, pool: string): string {
  const need = `Need ${needed} ${pool.toUpperCase()} ${unitOf(pool)}`;
  const left =
    available < needed
      ? `only ${available} available`
      : "and as many are free only on machines that it could not start on";
  return `${need}, ${left}; others came since the last estimate, the next one follows in seconds`;
}

function unitOf(pool: string): string {
  return pool.startsWith("cpu") ? "machines" : "GPUs";
}
