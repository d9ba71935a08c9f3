import type { Environment } from "#core/environments/record/record.ts";
import type { Grant } from "#core/pools/ledger/record.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import { fitsIn, outOfOrder, type Planned } from "./population-order.ts";

/** Who waits for a pool, who holds what, and since when each could be granted. Uses the records, not the ledger. */
export interface Crowd {
  wroteEnvironment(next: Environment): void;
  wrotePool(before: PoolView | undefined, next: PoolView): void;
  /** Waiting environments of a pool, by uid. */
  waiting(type: string): ReadonlyMap<string, Environment>;
  /** Free units of each machine, by the records. */
  freeUnits(pool: PoolView, now: number): ReadonlyMap<string, number>;
  /** When the next environments first fit. */
  fitting(type: string): ReadonlyMap<string, number>;
  /** Updates which environments fit, because machines return from being set aside without an event. */
  refresh(pool: PoolView): void;
}

/** A plan that begins this long after a submit has read it. The hosts' clocks differ by less. */
const KNOWN_MS = 3_000;
/** A plan considers at most 50 environments of an owner. */
const CONSIDERED = 40;

export function newCrowd(options: {
  readonly violated: (text: string) => void;
  readonly now: () => number;
  readonly granted: (sample: Sample) => void;
}): Crowd {
  const { violated, now } = options;
  const waiting = new Map<string, Map<string, Environment>>();
  const since = new Map<string, number>();
  const held = new Map<string, number>();
  const fits = new Map<string, Map<string, number>>();
  const pools = new Map<string, PoolView>();
  const knownEnvironments = new Map<string, Environment>();

  function hold(environment: Environment | undefined, sign: 1 | -1): void {
    for (const { node, units } of environment?.run.grant?.shares ?? []) {
      if (node !== null) held.set(node, (held.get(node) ?? 0) + sign * units);
    }
  }

  function getLine(type: string): Map<string, Environment> {
    const line = waiting.get(type) ?? new Map<string, Environment>();
    waiting.set(type, line);
    return line;
  }

  function freeUnits(pool: PoolView, at: number): Map<string, number> {
    const aside = new Set(pool.setAside.filter(({ until }) => until > at).map(({ node }) => node));
    const usable = pool.nodes.filter(({ ready, gone, name }) => ready && !gone && !aside.has(name));
    const free = new Map(
      usable.map(({ name, units, foreignUnits }) => [name, units - foreignUnits - (held.get(name) ?? 0)]),
    );
    for (const grant of pool.granted) {
      if (knownEnvironments.get(grant.uid)?.run.grant) continue;
      for (const { node, units } of grant.shares) if (node !== null) free.set(node, (free.get(node) ?? 0) - units);
    }
    return free;
  }

  /** The environment first in line takes what fits. Without one, every fitting environment does. */
  function refresh(pool: PoolView): void {
    const at = now();
    const before = fits.get(pool.type);
    const after = new Map<string, number>();
    const line = getLine(pool.type);
    const named = listNames(pool);
    const head = pool.head && line.get(pool.head.uid);
    const candidates = head ? [head] : line.values();
    const free = line.size > 0 ? freeUnits(pool, at) : new Map<string, number>();
    for (const candidate of candidates) {
      if (!named.has(candidate.uid) && fitsIn(candidate, pool.nodes, free))
        after.set(candidate.uid, before?.get(candidate.uid) ?? at);
    }
    fits.set(pool.type, after);
  }

  /** Judges the order of a plan by what is certain of each owner's usage at that time. */
  function judgeOrder(before: PoolView | undefined, next: PoolView): void {
    const earlier = listNames(before);
    const fresh = next.granted.filter(({ uid }) => !earlier.has(uid));
    const isNewHead = next.head !== null && next.head.uid !== before?.head?.uid;
    if (fresh.length === 0 && !isNewHead) return;
    const named = listNames(next);
    const plannedAt = fresh[0]?.at ?? next.summary.plannedAt;
    const knows = ({ uid }: Environment) => plannedAt - (since.get(uid) ?? plannedAt) > KNOWN_MS;
    const line = [...getLine(next.type).values()].filter(({ uid }) => !named.has(uid) && !earlier.has(uid));
    const plan: Planned = {
      fresh: fresh.map((grant) => ({ ...grant, queuedAt: knownEnvironments.get(grant.uid)?.queuedAt ?? 0 })),
      base: unitsByOwner([...next.held, ...next.granted.filter(({ uid }) => earlier.has(uid))]),
      given: unitsByOwner(fresh),
      waiting: firstOfEach(line).filter(knows),
      free: freeInLedger(next, plannedAt),
      keptHead: isNewHead ? null : (next.head?.uid ?? null),
      supersededHead: before?.head?.uid,
      head: line.find(({ uid }) => uid === next.head?.uid),
    };
    for (const text of outOfOrder(plan, next)) violated(`${text} (pool ${next.type})`);
  }

  return {
    wroteEnvironment(next) {
      const before = knownEnvironments.get(next.uid);
      knownEnvironments.set(next.uid, next);
      const grantsDiffer = before?.run.grant !== next.run.grant;
      if (grantsDiffer) {
        hold(before, -1);
        hold(next, 1);
      }
      const line = getLine(next.size.pool);
      const did = line.has(next.uid);
      const does = waitsNow(next);
      if (before && before.size.pool !== next.size.pool) getLine(before.size.pool).delete(next.uid);
      if (does) line.set(next.uid, next);
      else line.delete(next.uid);
      if (does && !did) since.set(next.uid, now());
      if (next.phase === "deleted" || (next.end.at !== null && next.dueAt === undefined)) since.delete(next.uid);
      const pool = pools.get(next.size.pool);
      if (pool && (grantsDiffer || does !== did)) refresh(pool);
    },
    wrotePool(before, next) {
      pools.set(next.type, next);
      const earlier = listNames(before);
      for (const grant of next.granted.filter(({ uid }) => !earlier.has(uid))) {
        const environment = knownEnvironments.get(grant.uid);
        const fitsSince = fits.get(next.type)?.get(grant.uid);
        if (environment) options.granted({ environment, grant, fitsSince });
      }
      judgeOrder(before, next);
      refresh(next);
    },
    waiting: getLine,
    freeUnits,
    fitting: (type) => fits.get(type) ?? new Map(),
    refresh,
  };
}

/** An environment that was just granted capacity. */
export interface Sample {
  readonly environment: Environment;
  readonly grant: Grant;
  /** When it first fitted. Undefined if it passed the environment with the reserved start. */
  readonly fitsSince: number | undefined;
}

function waitsNow({ phase, goal, end, waitPool }: Environment): boolean {
  return phase === "queued" && goal.desired === "active" && end.outcome === null && waitPool !== undefined;
}

function listNames(pool: PoolView | undefined): Set<string> {
  return new Set(pool ? [...pool.granted, ...pool.held].map(({ uid }) => uid) : []);
}

function unitsByOwner(grants: readonly Grant[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const { owner, shares } of grants) {
    for (const share of shares) units.set(owner, (units.get(owner) ?? 0) + share.units);
  }
  return units;
}

/** Returns what the plan had left, which excludes later returns. */
function freeInLedger({ nodes, setAside, held, granted }: PoolView, at: number): Map<string, number> {
  const aside = new Set(setAside.filter(({ until }) => until > at).map(({ node }) => node));
  const usable = nodes.filter(({ ready, gone, name }) => ready && !gone && !aside.has(name));
  const free = new Map(usable.map(({ name, units, foreignUnits }) => [name, units - foreignUnits]));
  for (const { node, units } of [...held, ...granted].flatMap(({ shares }) => shares)) {
    const left = node === null ? undefined : free.get(node);
    if (node !== null && left !== undefined) free.set(node, left - units);
  }
  return free;
}

/** Lists the oldest environments of each owner, which every plan considers. */
function firstOfEach(line: readonly Environment[]): Environment[] {
  const counts = new Map<string, number>();
  const sorted = [...line].sort((a, b) => a.queuedAt - b.queuedAt || (a.uid < b.uid ? -1 : 1));
  return sorted.filter(({ owner }) => {
    const count = (counts.get(owner) ?? 0) + 1;
    counts.set(owner, count);
    return count <= CONSIDERED;
  });
}
