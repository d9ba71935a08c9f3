import type { Sealed } from "../../store/sealed.ts";
import type { Phase, PreparingStep } from "./phases.ts";
import type { Environment } from "./record.ts";

export interface TimelineEntry {
  /** Number from 1 without gaps; also the number of its event. */
  readonly n: number;
  readonly at: number;
  readonly phase: Phase;
  readonly step: PreparingStep | null;
  readonly reason: string | null;
}

const KEPT_ENTRIES = 40;
const LONGEST_REASON = 120;

/** Adds an entry. Entries above `emitted` are never dropped (docs/architecture/events.md). */
export function addEntry(environment: Environment, at: number, reason: string | null): Environment {
  const n = environment.events.count + 1;
  const { phase, step } = environment;
  const entry: TimelineEntry = { n, at, phase, step, reason: shorten(reason) };
  const kept = environment.events.timeline.filter(
    (old) => old.n > environment.events.emitted || old.n > n - KEPT_ENTRIES,
  );
  const emitted = getReceiver(environment) ? environment.events.emitted : n;
  return { ...environment, events: { ...environment.events, timeline: [...kept, entry], count: n, emitted } };
}

export function getReceiver({ events: { receiver } }: Pick<Environment, "events">): Sealed | null {
  return receiver.run ?? receiver.always;
}

export function shorten(reason: string | null): string | null {
  if (reason === null || reason.length <= LONGEST_REASON) return reason;
  return `${reason.slice(0, LONGEST_REASON - 1)}…`;
}
