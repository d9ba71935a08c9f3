import { failureCause } from "../../environments/record/failure-cause.ts";
import type { Environment } from "../../environments/record/record.ts";
import { leftBetween } from "./left-between.ts";
import type { Grant, Ledger } from "./record.ts";

/** Upper bounds in seconds of the waits that are told apart. */
export const waitBounds = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200] as const;

/**
 * What came and went since the pool began: counters that only grow. A planner counts what left the ledger items by its own
 * writes, so that each life is counted once, whoever plans and how often; one that dies before it wrote the head counts
 * nothing.
 */
export interface Tally {
  /** How many of those who took a grant waited at most each bound and longer than the one before; then the rest. */
  readonly waits: readonly number[];
  readonly waitedSeconds: number;
  /** Lives that gave their capacity back, by their last word, failures by cause: `failed:image`. */
  readonly ends: Readonly<Record<string, number>>;
}

export const emptyTally: Tally = { waits: [...waitBounds, 0].map(() => 0), waitedSeconds: 0, ends: {} };

/** The tally once `left` have taken their grants out of the ledger and `returned` their capacity. */
function tallied(before: Tally, took: readonly Environment[], returned: readonly Environment[]): Tally {
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

/** The tally once this planner has written `after` where `before` was; the records are those that it read. */
export function talliedBetween(
  tally: Tally | undefined,
  before: Pick<Ledger, "granted" | "held">,
  after: Pick<Ledger, "granted" | "held">,
  known: ReadonlyMap<string, Environment>,
): Tally | undefined {
  const took = thoseThatTook(leftBetween(before.granted, after.granted), known);
  const given = leftBetween(before.held, after.held);
  const over = [
    ...took.filter(({ run: { grant }, end: { outcome } }) => !grant && outcome),
    ...thoseThatReturned(given, known),
  ];
  return took.length + over.length > 0 ? tallied(tally ?? emptyTally, took, over) : tally;
}

/** Those of the records that took these grants. A clock of another machine may lag a little. */
function thoseThatTook(grants: readonly Grant[], known: ReadonlyMap<string, Environment>): Environment[] {
  return ofTheirRecords(grants, known).flatMap(({ entry, record: { run }, record }) => {
    const isOther = run.grant !== null && run.grant.id !== entry.id;
    return run.preparingAt !== null && run.preparingAt >= entry.at - CLOCK_SKEW_MS && !isOther ? [record] : [];
  });
}

/** Those of the records that have ended, and given back what they held. */
function thoseThatReturned(entries: readonly Grant[], known: ReadonlyMap<string, Environment>): Environment[] {
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
