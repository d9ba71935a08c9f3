import type { Environment } from "#core/environments/record.ts";
import type { Pool } from "#core/pools/record.ts";
import type { Scheduler } from "./scheduler.ts";

/** The part of the watch that knows how long capacity is on its way. */
export interface LatencyWatch {
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  wrotePool(before: Pool | undefined, next: Pool): void;
  /** Nobody can read its record: the ledger keeps all that it names of it (design section 2). */
  unreadable(uid: string): void;
  /** It can be read again: it was mended, or the operator ended it by force with what the ledger names. */
  readable(environment: Environment): void;
  /** The index is late, or an operator closes the pool, which is carried into the ledger in its own time. */
  excuse(): void;
  /** What took longer than it may where nothing is faulted. */
  late(): string[];
}

/** Where nothing is faulted: from what was freed to the grant, and from the grant to who takes it. */
const PROMPT_MS = 5_000;
/**
 * How long the ledger may name somebody who has given everything back, once the faults are over. A freeze may outlast
 * them: time in which every host sleeps does not count.
 */
const LONGEST_NAMED_MS = 120_000;

/** The part of the scheduler that knows for how long nothing has gone wrong. */
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
  /** The latest moment at which something happened that may let somebody start. */
  let movedAt = now();

  function readable({ uid, run }: Environment): void {
    if (!unreadable.delete(uid)) return;
    for (const name of releasedAt.keys()) if (name.startsWith(`${uid}-r`)) releasedAt.set(name, calmness.awake());
    if (run.grant) releasedAt.delete(nameOf({ uid, run: run.n }));
  }

  function checkNamed({ held }: Pool): void {
    for (const { uid, run } of held) {
      const released = releasedAt.get(nameOf({ uid, run }));
      if (released === undefined || unreadable.has(uid)) continue;
      const namedMs = calmness.awake() - Math.max(released, calmness.calmSince());
      if (namedMs <= LONGEST_NAMED_MS) continue;
      violated(`the ledger names ${environments.get(uid)?.id} ${Math.round(namedMs)} ms after it gave back`);
    }
  }

  return {
    wroteEnvironment(before, next) {
      readable(next);
      const took = !before?.run.grant && next.run.grant ? grantedAt.get(runOf(next)) : undefined;
      if (took !== undefined && now() - took > PROMPT_MS) {
        late.push(`${next.id} took its grant after ${Math.round(now() - took)} ms`);
      }
      if (before?.run.grant && !next.run.grant) releasedAt.set(runOf(before), calmness.awake());
      const moves =
        before?.phase !== next.phase ||
        before.waitPool !== next.waitPool ||
        before.times.endsAt !== next.times.endsAt ||
        !next.run.grant;
      if (moves) movedAt = now();
    },
    wrotePool(before, next) {
      const known = new Set((before?.granted ?? []).map(nameOf));
      const fresh = next.granted.filter((grant) => !known.has(nameOf(grant)));
      for (const grant of fresh) {
        grantedAt.set(nameOf(grant), now());
        // A machine that bound nothing is set aside: that ends by itself.
        const isHindered = (before?.setAside.length ?? 0) > 0 || next.setAside.length > 0;
        if (isHindered || now() - movedAt <= PROMPT_MS) continue;
        late.push(`${environments.get(grant.uid)?.id} was granted ${Math.round(now() - movedAt)} ms after it could be`);
      }
      if (before?.nodes.length !== next.nodes.length || fresh.length > 0) movedAt = now();
      checkNamed(next);
    },
    unreadable: (uid) => void unreadable.add(uid),
    readable,
    excuse: () => {
      isExcused = true;
    },
    late: () => (isExcused ? [] : late),
  };
}

function runOf({ uid, run }: Pick<Environment, "uid" | "run">): string {
  return nameOf({ uid, run: run.n });
}

function nameOf({ uid, run }: { readonly uid: string; readonly run: number }): string {
  return `${uid}-r${run}`;
}
