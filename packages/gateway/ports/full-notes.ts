import type { Log } from "#core/ports/log.ts";

/** Names a bound of a replica that was reached. */
export type NoteFull = (bound: string, most: number) => void;

const EVERY_MS = 60_000;

/** Logs that a bound of the replica was reached, at most once a minute for each bound. */
export function fullNotes(log: Pick<Log, "warn">, now: () => number): NoteFull {
  const noted = new Map<string, number>();
  return (bound, most) => {
    const at = now();
    if (at - (noted.get(bound) ?? -Infinity) < EVERY_MS) return;
    noted.set(bound, at);
    log.warn("gateway full", { bound, most });
  };
}
