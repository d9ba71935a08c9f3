import type { Clock } from "#core/ports/clock.ts";

export interface LoginCache<Value> {
  /** Returns values that are at most `maxAgeMs` old. Callers of one login share a pending read. */
  read(login: string, maxAgeMs: number): Promise<readonly Value[]>;
}

interface Kept<Value> {
  readonly at: number;
  readonly values: Promise<readonly Value[]>;
}

/** More than the connections that a gateway allows, so a flood of unknown names does not push out open connections. */
const MOST_LOGINS = 10_000;

/** Keeps the newest reads of logins. A failed read is not kept. */
export function loginCache<Value>(
  clock: Pick<Clock, "monotonic">,
  read: (login: string) => Promise<readonly Value[]>,
): LoginCache<Value> {
  const kept = new Map<string, Kept<Value>>();
  return {
    read: (login, maxAgeMs) => {
      const newest = kept.get(login);
      const now = clock.monotonic();
      if (newest && now - newest.at <= maxAgeMs) return newest.values;
      const entry = { at: now, values: read(login) };
      kept.delete(login);
      kept.set(login, entry);
      entry.values.catch(() => {
        if (kept.get(login) === entry) kept.delete(login);
      });
      const [oldest] = kept.keys();
      if (oldest !== undefined && kept.size > MOST_LOGINS) kept.delete(oldest);
      return entry.values;
    },
  };
}
