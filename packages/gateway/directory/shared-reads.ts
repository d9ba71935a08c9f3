import type { Clock } from "#core/ports/clock.ts";

export interface SharedReads<Value> {
  /** Returns a value that is at most `maxAgeMs` old. Callers of one name share a pending read. */
  read(name: string, maxAgeMs: number): Promise<Value>;
  /** Begins a read now. */
  readAnew(name: string): Promise<Value>;
}

interface Kept<Value> {
  readonly at: number;
  readonly value: Promise<Value>;
}

/** Open connections are cut within 10 s: at most this, and the seconds between two checks. */
export const CHECKED_MS = 5_000;
/** More than the connections that a gateway allows, so a flood of unknown names does not push out open connections. */
const MOST_NAMES = 10_000;
/** More than any key in any of its headers. Strangers could fill the memory with longer ones. */
const LONGEST_NAME = 2_000;

/** Keeps the newest reads. A failed read is not kept, and none of a name that is too long to be of use. */
export function sharedReads<Value>(
  clock: Pick<Clock, "monotonic">,
  read: (name: string) => Promise<Value>,
): SharedReads<Value> {
  const kept = new Map<string, Kept<Value>>();
  const readAnew = (name: string) => {
    if (name.length > LONGEST_NAME) return read(name);
    const entry = { at: clock.monotonic(), value: read(name) };
    kept.delete(name);
    kept.set(name, entry);
    entry.value.catch(() => {
      if (kept.get(name) === entry) kept.delete(name);
    });
    const [oldest] = kept.keys();
    if (oldest !== undefined && kept.size > MOST_NAMES) kept.delete(oldest);
    return entry.value;
  };
  return {
    read: (name, maxAgeMs) => {
      const newest = kept.get(name);
      return newest && clock.monotonic() - newest.at <= maxAgeMs ? newest.value : readAnew(name);
    },
    readAnew,
  };
}
