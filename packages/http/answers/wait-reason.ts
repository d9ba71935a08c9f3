import type { Environment } from "#core/environments/record/record.ts";
import { queueHours } from "#core/pools/admission/waiting-limit.ts";
import { findGroup } from "#core/pools/capacity/groups.ts";
import type { WaitAdvice } from "#core/pools/forecast/advice.ts";
import { moveText } from "#core/pools/ledger/eta-drivers.ts";
import type { ReasonCode } from "#core/pools/plan/plan.ts";
import { endsFirst, noMachineText, reasonText, type WaitEnd } from "#core/pools/plan/reasons.ts";
import type { Settings } from "#core/settings.ts";
import { HOUR_MS } from "#core/units.ts";
import { wholeSeconds } from "./timestamp.ts";

type Limits = Pick<Settings, "maxQueueHours" | "nodeGroups">;

/** Explains why an environment waits, what may move its start, and when its wait ends if that comes first. */
export function waitReason(environment: Environment, advice: WaitAdvice | undefined, settings: Limits): string {
  const ends = advice ? getEnd(environment, advice, settings) : [];
  if (advice?.place) {
    const { pool } = environment.size;
    const isHopeless = advice.place.code === "none" && !findGroup({ settings }, pool);
    const missing = isHopeless ? [noMachineText(getQueueEnd(environment, settings, false).when)] : [];
    return [reasonText(advice.place, pool), ...missing, ...movedBy(advice), ...(isHopeless ? [] : ends)].join("; ");
  }
  const where = advice?.farBack ? "Many are ahead of it; its place is far back in the queue" : "Waiting to be placed";
  return [where, ...ends].join("; ");
}

/** Returns when an unplaced job leaves the queue. `isFirst`: it has the reserved start. */
function getQueueEnd({ queuedAt }: Environment, settings: Limits, isFirst: boolean): WaitEnd {
  const at = queuedAt + queueHours(settings, isFirst) * HOUR_MS;
  return { at, when: `at ${wholeSeconds(at)}`, isFirst };
}

/** Codes whose wait never times out (core's overdue.ts). */
const withoutEnd: ReadonlySet<string> = new Set(["drained", "paused", "unreadable"] satisfies ReasonCode[]);

function getEnd(environment: Environment, { place, start }: WaitAdvice, settings: Limits): string[] {
  if (place && withoutEnd.has(place.code)) return [];
  const startsAt = start ? (start.p50 ?? start.later) : place?.startsAt;
  const isFirst = place?.position === 1 || start?.move.code === "ends";
  // Both are shown in whole seconds: an end in the same second is not earlier.
  return endsFirst(startsAt && startsAt - (startsAt % 1000), getQueueEnd(environment, settings, isFirst));
}

function movedBy({ start, lateSince }: WaitAdvice): string[] {
  const late = lateSince === undefined ? [] : [`it was to start by ${wholeSeconds(lateSince)} and is late`];
  if (!start) return late;
  if (start.p50 === null && start.later !== null) return [`starts later than ${wholeSeconds(start.later)}`];
  return [...late, moveText(start.move)].filter(Boolean);
}
