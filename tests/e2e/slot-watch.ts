import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isAlive } from "#process/supervisor/process-identity.ts";
import { listProcesses, type SeenProcess } from "./processes.ts";

/** Overcommitted nodes and runs that began twice. */
export interface SlotReport {
  readonly seen: Seen;
  readonly conflicts: readonly string[];
  /** Number of runs seen of each record, by key. */
  readonly runsByKey: ReadonlyMap<string, number>;
}

/** Number of looks at the process table, and of runs that lived at one of them. */
interface Seen {
  readonly looks: number;
  readonly runs: number;
}

export interface SlotWatch {
  /** Returns the counts so far. */
  seen(): Seen;
  stop(): SlotReport;
}

const everyMs = 120;

/**
 * Watches the process table while stacks come and go. No pretend node may have more living runs than slots, and no run
 * may begin twice. It works without a stack, so it also sees what happens between stacks.
 */
export function watchSlots(home: string, slots: Readonly<Record<string, number>>): SlotWatch {
  const conflicts: string[] = [];
  const places = new Map<string, SlotUse | undefined>();
  const sessions = new Map<string, Set<number>>();
  let looks = 0;
  const poll = (): void => {
    looks += 1;
    const living = livingRuns(home, places);
    for (const [run, members] of living) noteSessions(sessions, run, members);
    for (const [node, capacity] of Object.entries(slots)) {
      const there = [...living].filter(([run]) => places.get(run)?.node === node);
      const used = there.reduce((sum, [, members]) => sum + getUnits(members), 0);
      if (used > capacity) conflicts.push(`${node}: ${used} of ${capacity} in use by ${there.map(([run]) => run)}`);
    }
  };
  const timer = setInterval(poll, everyMs);
  const seen = () => ({ looks, runs: sessions.size });
  return {
    seen,
    stop() {
      clearInterval(timer);
      const begunTwice = [...sessions].filter(([, ids]) => ids.size > 1).map(([run]) => `${run} was begun twice`);
      const keys = [...sessions.keys()].map((run) => places.get(run)?.key ?? "");
      const runsByKey = new Map(keys.map((key) => [key, keys.filter((each) => each === key).length]));
      return { seen: seen(), conflicts: [...conflicts, ...begunTwice], runsByKey };
    },
  };
}

/** Record and first node of a run. */
interface SlotUse {
  readonly key: string;
  readonly node: string | undefined;
}

/** Returns by run the processes that all lived at the moment between the listing and the second look. */
function livingRuns(home: string, places: Map<string, SlotUse | undefined>): Map<string, SeenProcess[]> {
  const named = listProcesses().filter(({ environment }) => environment.has("BERTH_RUN"));
  const runs = new Map<string, SeenProcess[]>();
  for (const seen of named.filter(isAlive)) {
    const run = seen.environment.get("BERTH_RUN") ?? "";
    if (!places.has(run)) places.set(run, findPlace(home, run));
    if (places.get(run) !== undefined) runs.set(run, [...(runs.get(run) ?? []), seen]);
  }
  return runs;
}

/** Returns the place of a run; undefined for runs of other homes. */
function findPlace(home: string, run: string): SlotUse | undefined {
  try {
    const record = JSON.parse(readFileSync(join(home, "runs", run, "run.json"), "utf8"));
    const { key = run, nodes } = record as { key?: string; nodes: string[] };
    return { key, node: nodes[0] };
  } catch {
    return undefined;
  }
}

/** Notes the sessions of a run. Each machine of a run is one session, and these runs have one machine. */
function noteSessions(sessions: Map<string, Set<number>>, run: string, members: readonly SeenProcess[]): void {
  const knownNumbers = sessions.get(run) ?? new Set();
  for (const { session } of members) knownNumbers.add(session);
  sessions.set(run, knownNumbers);
}

/** Returns the GPUs that the processes see, or 1 for a CPU machine, which is used whole. */
function getUnits(members: readonly SeenProcess[]): number {
  const gpus = members.map(({ environment }) => Number(environment.get("BERTH_GPUS") ?? 0));
  return Math.max(...gpus) || 1;
}
