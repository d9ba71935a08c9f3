import type { Place, ReasonCode } from "./plan.ts";

type Words = (place: Pick<Place, "position" | "a" | "b">, kind: string, unit: string) => string;

const words = {
  none: ({ position }, kind) => `No ${kind} nodes available - position #${position} in queue`,
  never: ({ position, a }, kind, unit) =>
    `Need ${a} ${kind} ${unit}, more than the present nodes can give - position #${position} in queue`,
  short: ({ position, a, b }, kind, unit) => `Need ${a} ${kind} ${unit}, only ${b} available - position #${position}`,
  split: ({ position, a, b }, kind, unit) =>
    `Need ${a} ${kind} ${unit} on one machine, at most ${b} are free on one - position #${position}`,
  making: ({ position, a }, kind, unit) =>
    `Need ${a} ${kind} ${unit}, and as many as possible wait for new machines already - position #${position}`,
  elsewhere: ({ position, a }, kind, unit) =>
    `Need ${a} ${kind} ${unit}, and no machines that it could start on have them free - position #${position}`,
  behind: ({ position, a }, kind, unit) =>
    `Need ${a} ${kind} ${unit}, which are kept for those before it - position #${position}`,
  drained: ({ position }, kind) =>
    `No new ${kind} jobs are started at the moment: drained by the operator - position #${position}`,
  paused: ({ position }, kind) =>
    `No new ${kind} jobs are started at the moment: paused by the operator - position #${position}`,
  unreadable: ({ position, a, b }, kind, unit) =>
    b > 0
      ? `Need ${a} ${kind} ${unit}, more than those nodes can give whose records can be read - position #${position}`
      : `No new ${kind} jobs are started at the moment: a record of who has ${kind} capacity cannot be read - position #${position}`,
} satisfies Record<ReasonCode, Words>;

/** Why somebody waits, in words: `Need 8 H100 GPUs, only 3 available - position #1`. */
export function reasonText(place: Pick<Place, "position" | "code" | "a" | "b">, pool: string): string {
  const unit = pool.startsWith("cpu") ? "machines" : "GPUs";
  return words[place.code](place, pool.toUpperCase(), unit);
}
