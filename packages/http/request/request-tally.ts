import type { Clock } from "#core/ports/clock.ts";
import type { Settings } from "#core/settings.ts";

export interface RequestTally {
  readonly count: number;
  /** Counts by the class of the status: `2xx`. */
  readonly byStatus: Readonly<Record<string, number>>;
  readonly rate: number;
}

interface TallySlot {
  readonly settings: Settings;
  readonly clock: Pick<Clock, "now">;
}

export function countRequest({ settings, clock }: TallySlot, user: string, status: number): void {
  const users = counts.get(settings) ?? new Map<string, Counted>();
  counts.set(settings, users);
  const counted = users.get(user) ?? newCounted();
  users.delete(user);
  users.set(user, counted);
  const [oldest] = users.keys();
  if (users.size > MOST_USERS && oldest !== undefined) users.delete(oldest);
  const family = `${Math.floor(status / 100)}xx`;
  counted.byStatus[family] = (counted.byStatus[family] ?? 0) + 1;
  const slot = slotAt(clock);
  counted.slots.set(slot, (counted.slots.get(slot) ?? 0) + 1);
  for (const countedSlot of counted.slots.keys()) if (!isRecent(countedSlot, slot)) counted.slots.delete(countedSlot);
}

export function requestTally({ settings, clock }: TallySlot, user: string): RequestTally {
  const { byStatus, slots } = counts.get(settings)?.get(user) ?? newCounted();
  const slot = slotAt(clock);
  const recent = [...slots].filter(([at]) => isRecent(at, slot)).map(([, count]) => count);
  return { count: sum(Object.values(byStatus)), byStatus: { ...byStatus }, rate: sum(recent) / (SLOTS * SLOT_SECONDS) };
}

interface Counted {
  readonly byStatus: Record<string, number>;
  readonly slots: Map<number, number>;
}

function newCounted(): Counted {
  return { byStatus: {}, slots: new Map() };
}

const counts = new WeakMap<Settings, Map<string, Counted>>();
const MOST_USERS = 1_000;
const SLOT_SECONDS = 10;
const SLOTS = 30;

/** Uses the time of day, because Lambda stops a process's monotonic clock between requests. */
function slotAt(clock: Pick<Clock, "now">): number {
  return Math.floor(clock.now() / (SLOT_SECONDS * 1000));
}

/** A future slot was counted before the time of day was set back. */
function isRecent(slot: number, present: number): boolean {
  return slot > present - SLOTS && slot <= present;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
