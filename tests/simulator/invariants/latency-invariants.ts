import type { Environment } from "#core/environments/record/record.ts";
import type { Grant } from "#core/pools/ledger/record.ts";
import { sameData } from "#core/store/same-data.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import type { Scheduler } from "../scheduler.ts";

/** Checks how long capacity takes to be granted and taken. */
export interface LatencyWatch {
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  wrotePool(before: PoolView | undefined, next: PoolView): void;
  /**
   * Notes that a record is unreadable. The ledger keeps its entries (docs/architecture/failures.md#unreadable-records).
   */
  unreadable(uid: string): void;
  hasUnreadable(): boolean;
  /** Notes that the record was repaired, or ended by force with the ledger's entries. */
  readable(environment: Environment): void;
  /** Ignores delays, because the index is late or an operator closes the pool. */
  excuse(): void;
  late(): string[];
}

/** Limit without faults, from freed capacity to its grant and from the grant to its taking. */
const PROMPT_MS = 5_000;
/**
 * How long the ledger may name an environment that returned its capacity, after the faults end. Time in which every
 * host sleeps does not count.
 */
const LONGEST_NAMED_MS = 120_000;

/** The scheduler's clock of fault-free time. */
export type Calmness = Pick<Scheduler, "awake" | "calmSince">;

export function latencyWatch(options: {
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
  readonly now: () => number;
  readonly calmness: Calmness;
}): LatencyWatch {
  const { environments, violated, now, calmness } = options;
  const grantedAt = new Map<string, number>();
  /** As `awake` counts. */
  const releasedAt = new Map<string, number>();
  const unreadable = new Set<string>();
  const late: string[] = [];
  let isExcused = false;
  /** Time of the last event that may let an environment start. */
  let movedAt = now();

  function readable({ uid, run }: Environment): void {
    if (!unreadable.delete(uid)) return;
    for (const name of releasedAt.keys()) if (name.startsWith(`${uid}-r`)) releasedAt.set(name, calmness.awake());
    if (run.grant) releasedAt.delete(formatName({ uid, run: run.n }));
  }

  /** Time since which an environment has two grants (as `awake` counts). */
  const doubled = new Map<string, number>();

  /**
   * Two planners may grant the same environment, which takes one grant. The other is dropped. Nothing is taken from a
   * closed pool.
   */
  function checkDoubled({ type, granted, held, closed }: PoolView): void {
    const times = new Map<string, number>();
    for (const { uid } of [...granted, ...held]) times.set(uid, (times.get(uid) ?? 0) + 1);
    for (const uid of doubled.keys()) if ((times.get(uid) ?? 0) < 2 && ofPool(uid) === type) doubled.delete(uid);
    for (const [uid, count] of times) {
      if (count < 2 || unreadable.has(uid)) continue;
      const since = closed ? calmness.awake() : (doubled.get(uid) ?? calmness.awake());
      doubled.set(uid, since);
      const doubledMs = calmness.awake() - Math.max(since, calmness.calmSince());
      if (doubledMs > LONGEST_NAMED_MS) {
        violated(`the ledger names ${environments.get(uid)?.id} twice for ${Math.round(doubledMs)} ms`);
      }
    }
  }

  function ofPool(uid: string): string | undefined {
    return environments.get(uid)?.size.pool;
  }

  function checkNamed({ held }: PoolView): void {
    for (const { uid, run } of held) {
      const released = releasedAt.get(formatName({ uid, run }));
      if (released === undefined || unreadable.has(uid)) continue;
      const namedMs = calmness.awake() - Math.max(released, calmness.calmSince());
      if (namedMs <= LONGEST_NAMED_MS) continue;
      violated(`the ledger names ${environments.get(uid)?.id} ${Math.round(namedMs)} ms after it gave back`);
    }
  }

  /**
   * Reports whether the grant may pass the environment that is first in line. It may once a holder without an end is
   * expected to stay longer, which no event marks.
   */
  function mayPass(before: PoolView | undefined, { uid }: Pick<Grant, "uid">): boolean {
    if (!before?.head || before.head.uid === uid) return false;
    return before.held.some(({ endsAt }) => endsAt === null || endsAt <= now());
  }

  return {
    wroteEnvironment(before, next) {
      readable(next);
      const took = !before?.run.grant && next.run.grant ? grantedAt.get(getRun(next)) : undefined;
      if (took !== undefined && now() - took > PROMPT_MS) {
        late.push(`${next.id} took its grant after ${Math.round(now() - took)} ms`);
      }
      if (before?.run.grant && !next.run.grant) releasedAt.set(getRun(before), calmness.awake());
      const moves =
        before?.phase !== next.phase ||
        before.waitPool !== next.waitPool ||
        before.times.endsAt !== next.times.endsAt ||
        // A run that binds to an existing machine leaves room on those that its pool may still create.
        !sameData(before.run.machines, next.run.machines) ||
        !next.run.grant;
      if (moves) movedAt = now();
    },
    wrotePool(before, next) {
      const knownNames = new Set((before?.granted ?? []).map(formatName));
      const fresh = next.granted.filter((grant) => !knownNames.has(formatName(grant)));
      for (const grant of fresh) {
        grantedAt.set(formatName(grant), now());
        // A machine on which nothing could be bound is set aside for a while.
        const isHindered = next.setAside.some(({ until }) => until > now() - PROMPT_MS);
        if (isHindered || mayPass(before, grant) || now() - movedAt <= PROMPT_MS) continue;
        late.push(`${environments.get(grant.uid)?.id} was granted ${Math.round(now() - movedAt)} ms after it could be`);
      }
      // Capacity used by other programs shows in the next listing, as do cordons.
      const isListedAnew =
        before?.nodes.length !== next.nodes.length ||
        takenByOthers(before) !== takenByOthers(next) ||
        countReady(before) !== countReady(next);
      if (isListedAnew || fresh.length > 0) movedAt = now();
      checkNamed(next);
      checkDoubled(next);
    },
    unreadable: (uid) => void unreadable.add(uid),
    hasUnreadable: () => unreadable.size > 0,
    readable,
    excuse: () => {
      isExcused = true;
    },
    late: () => (isExcused ? [] : late),
  };
}

function takenByOthers({ nodes }: PoolView): number {
  return nodes.reduce((sum, { foreignUnits, leftoverUnits }) => sum + foreignUnits + leftoverUnits, 0);
}

function countReady({ nodes }: PoolView): number {
  return nodes.filter(({ ready }) => ready).length;
}

function getRun({ uid, run }: Pick<Environment, "uid" | "run">): string {
  return formatName({ uid, run: run.n });
}

function formatName({ uid, run }: { readonly uid: string; readonly run: number }): string {
  return `${uid}-r${run}`;
}
