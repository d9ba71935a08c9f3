import type { Environment } from "../../environments/record/record.ts";
import type { Grant, Ledger } from "./record.ts";

/** Upper bounds of the wait histogram, in seconds. */
export const waitBounds = [1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200] as const;

/**
 * Counters of starts and ends since the pool was created; they only grow. A planner counts what its own writes removed
 * from the ledger items, so each life counts once. A planner that dies before it writes the head counts nothing.
 */
export interface Tally {
  /** The wait histogram: the number of taken grants per bound, then the rest. */
  readonly waits: readonly number[];
  readonly waitedSeconds: number;
  /** Lives that returned their capacity, by end state. Failures are keyed by cause: `failed:image`. */
  readonly ends: Readonly<Record<string, number>>;
}

export const emptyTally: Tally = { waits: [...waitBounds, 0].map(() => 0), waitedSeconds: 0, ends: {} };

/** Returns the tally after `took` have taken their grants and `returned` have returned their capacity. */
function tallied(before: Tally, took: readonly Environment[], returned: readonly Environment[]): Tally {
  const waited = took.map(
    (environment) => Math.max(0, (environment.run.preparingAt ?? environment.queuedAt) - environment.queuedAt) / 1000,
  );
  const waits = [...before.waits];
  for (const seconds of waited) {
    const bucket = waitBounds.findIndex((bound) => seconds <= bound);
    const at = bucket < 0 ? waitBounds.length : bucket;
    waits[at] = (waits[at] ?? 0) + 1;
  }
  const ends = { ...before.ends };
  for (const word of returned.flatMap(endWord)) ends[word] = (ends[word] ?? 0) + 1;
  return { waits, waitedSeconds: before.waitedSeconds + waited.reduce((sum, seconds) => sum + seconds, 0), ends };
}

/** Returns the tally after this planner replaced `before` by `after`. `known` are the records that it read. */
export function talliedBetween(
  tally: Tally | undefined,
  before: Pick<Ledger, "granted" | "held">,
  after: Pick<Ledger, "granted" | "held">,
  knownEnvironments: ReadonlyMap<string, Environment>,
): Tally | undefined {
  const took = thoseThatTook(leftBetween(before.granted, after.granted), knownEnvironments);
  const returned = leftBetween(before.held, after.held);
  const over = [
    ...took.filter(({ run: { grant }, end: { outcome } }) => !grant && outcome),
    ...thoseThatReturned(returned, knownEnvironments),
  ];
  return took.length + over.length > 0 ? tallied(tally ?? emptyTally, took, over) : tally;
}

/** Returns the records that took these grants, with tolerance for clock skew. */
function thoseThatTook(grants: readonly Grant[], knownEnvironments: ReadonlyMap<string, Environment>): Environment[] {
  return ofTheirRecords(grants, knownEnvironments).flatMap(({ entry, record: { run }, record }) => {
    const isOther = run.grant !== null && run.grant.id !== entry.id;
    return run.preparingAt !== null && run.preparingAt >= entry.at - CLOCK_SKEW_MS && !isOther ? [record] : [];
  });
}

function thoseThatReturned(
  entries: readonly Grant[],
  knownEnvironments: ReadonlyMap<string, Environment>,
): Environment[] {
  return ofTheirRecords(entries, knownEnvironments)
    .map(({ record }) => record)
    .filter(({ run: { grant }, end: { outcome } }) => grant === null && outcome !== null);
}

const CLOCK_SKEW_MS = 5_000;

function ofTheirRecords(entries: readonly Grant[], knownEnvironments: ReadonlyMap<string, Environment>) {
  return entries.flatMap((entry) => {
    const record = knownEnvironments.get(entry.key);
    return record?.uid === entry.uid && record.run.n === entry.run ? [{ entry, record }] : [];
  });
}

function endWord({ end: { outcome } }: Environment): string[] {
  if (!outcome) return [];
  return [outcome.phase === "failed" ? `failed:${failureCause(outcome.reason)}` : outcome.phase];
}

/** A failure's reason as one of a few words, for metrics: reasons are free text with names and numbers. */
type FailureCause =
  | "command"
  | "killed"
  | "image"
  | "deadline"
  | "lost"
  | "placement"
  | "refused"
  | "disk"
  | "stack"
  | "other";

export function failureCause(reason: string | null): FailureCause {
  return causes.find(([pattern]) => pattern.test(reason ?? ""))?.[1] ?? "other";
}

const causes: readonly (readonly [RegExp, FailureCause])[] = [
  [/^Refused by the cluster|^The cluster refuses/, "refused"],
  [/^command exited|^(The )?command could not be started/, "command"],
  [/killed/, "killed"],
  [/^Not ready after/, "deadline"],
  [/^No machine could start it|^Its machine came/, "placement"],
  [/^Disk '|volume/, "disk"],
  [/local stack was stopped/, "stack"],
  [/disappeared|not by Berth|lost|evicted|machine was (restarted|taken|shut down)/, "lost"],
  [/image/i, "image"],
];

/**
 * Returns the entries of `before` that are not in `after`, by id. Both usually have the same order, so only entries
 * after the first difference need a lookup. A large pool has 100,000 entries, and a plan changes a few.
 */
export function leftBetween<One extends { readonly id: string }>(
  before: readonly One[],
  after: readonly { readonly id: string }[],
): One[] {
  let same = 0;
  const skipped = before.filter((holding) => {
    const next = after[same];
    if (next !== holding && next?.id !== holding.id) return true;
    same += 1;
    return false;
  });
  if (skipped.length === 0) return skipped;
  const rest = new Set(after.slice(same).map(({ id }) => id));
  return skipped.filter(({ id }) => !rest.has(id));
}
