import { failureCause } from "../environments/failure-cause.ts";
import type { Environment } from "../environments/record.ts";
import type { Grant, Pool } from "./record.ts";

/** Upper bounds in seconds of the waits that are told apart. */
export const waitBounds = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200] as const;

/**
 * What came and went since the ledger began: counters that only grow. They are in the ledger because its write is
 * conditional, so that each life is counted once, whoever plans and how often.
 */
export interface Tally {
  /** Of those who took a grant: how many waited at most each bound and longer than the one before; then the rest. */
  readonly waits: readonly number[];
  readonly waitedSeconds: number;
  /** Lives that gave their capacity back, by their last word, failures by cause: `failed:image`. */
  readonly ends: Readonly<Record<string, number>>;
}

export const emptyTally: Tally = { waits: [...waitBounds, 0].map(() => 0), waitedSeconds: 0, ends: {} };

/** The tally once `left` have taken their grants out of the ledger and `returned` their capacity. */
export function tallied(before: Tally, took: readonly Environment[], returned: readonly Environment[]): Tally {
  const waited = took.map((one) => Math.max(0, (one.run.preparingAt ?? one.queuedAt) - one.queuedAt) / 1000);
  const waits = [...before.waits];
  for (const seconds of waited) {
    const bucket = waitBounds.findIndex((bound) => seconds <= bound);
    const at = bucket < 0 ? waitBounds.length : bucket;
    waits[at] = (waits[at] ?? 0) + 1;
  }
  const ends = { ...before.ends };
  for (const word of returned.flatMap(endWord)) ends[word] = (ends[word] ?? 0) + 1;
  return { waits, waitedSeconds: before.waitedSeconds + waited.reduce((sum, one) => sum + one, 0), ends };
}

/** Those of the records that took these grants. A clock of another machine may lag a little. */
export function thoseThatTook(grants: readonly Grant[], known: ReadonlyMap<string, Environment>): Environment[] {
  return ofTheirRecords(grants, known).flatMap(({ entry, record }) =>
    record.run.preparingAt !== null && record.run.preparingAt >= entry.at - CLOCK_SKEW_MS ? [record] : [],
  );
}

/** Those of the records that have ended, and given back what they held. */
export function thoseThatReturned(
  entries: Pool["granted"] | Pool["held"],
  known: ReadonlyMap<string, Environment>,
): Environment[] {
  return ofTheirRecords(entries, known)
    .map(({ record }) => record)
    .filter(({ run: { grant }, end: { outcome } }) => grant === null && outcome !== null);
}

const CLOCK_SKEW_MS = 5_000;

function ofTheirRecords(entries: readonly Grant[], known: ReadonlyMap<string, Environment>) {
  return entries.flatMap((entry) => {
    const record = known.get(entry.key);
    return record?.uid === entry.uid && record.run.n === entry.run ? [{ entry, record }] : [];
  });
}

function endWord({ end: { outcome } }: Environment): string[] {
  if (!outcome) return [];
  return [outcome.phase === "failed" ? `failed:${failureCause(outcome.reason)}` : outcome.phase];
}
