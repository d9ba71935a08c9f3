import type { Environment } from "#core/environments/record.ts";
import type { Pool } from "#core/pools/record.ts";

/** The part of the watch that knows how long capacity is on its way. */
export interface LatencyWatch {
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  wrotePool(before: Pool | undefined, next: Pool): void;
  /** The index is late, or an operator closes the pool, which is carried into the ledger in its own time. */
  excuse(): void;
  /** What took longer than it may where nothing is faulted. */
  late(): string[];
}

/** Where nothing is faulted: from what was freed to the grant, and from the grant to who takes it. */
const PROMPT_MS = 5_000;
/** How long the ledger may name somebody who has given everything back, once the faults are over. */
const LONGEST_NAMED_MS = 120_000;

export function latencyWatch(options: {
  readonly environments: ReadonlyMap<string, Environment>;
  readonly violated: (text: string) => void;
  readonly now: () => number;
  /** When the faults ended; infinite while they last. */
  readonly calmSince: () => number;
}): LatencyWatch {
  const { environments, violated, now, calmSince } = options;
  const grantedAt = new Map<string, number>();
  const releasedAt = new Map<string, number>();
  const late: string[] = [];
  let isExcused = false;
  /** The latest moment at which something happened that may let somebody start. */
  let movedAt = now();

  function checkNamed({ held }: Pool): void {
    for (const { uid, run } of held) {
      const released = releasedAt.get(nameOf({ uid, run }));
      const since = released && Math.max(released, calmSince());
      if (since === undefined || now() - since <= LONGEST_NAMED_MS) continue;
      violated(`the ledger names ${environments.get(uid)?.id} ${Math.round(now() - since)} ms after it gave back`);
    }
  }

  return {
    wroteEnvironment(before, next) {
      const took = !before?.run.grant && next.run.grant ? grantedAt.get(runOf(next)) : undefined;
      if (took !== undefined && now() - took > PROMPT_MS) {
        late.push(`${next.id} took its grant after ${Math.round(now() - took)} ms`);
      }
      if (before?.run.grant && !next.run.grant) releasedAt.set(runOf(before), now());
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
