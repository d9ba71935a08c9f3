import type { Compute, Item, Stored, Table, Volumes } from "#core/context.ts";
import type { Disk } from "#core/disks/record.ts";
import type { Environment } from "#core/environments/record.ts";
import type { Pool } from "#core/pools/record.ts";
import type { MemoryCompute } from "../memory-compute.ts";
import type { MemoryTable } from "../memory-table.ts";
import type { MemoryVolumes } from "../memory-volumes.ts";
import { beyondBound } from "./bounds.ts";
import { type ChatWatch, chatWatch } from "./chat-invariants.ts";
import { diskWatch } from "./disk-invariants.ts";
import { failureWatch } from "./failure-invariants.ts";
import { follows as followsIt } from "./follows.ts";
import { type LatencyWatch, latencyWatch } from "./latency-invariants.ts";
import { type LifeWatch, lifeWatch } from "./life-invariants.ts";
import { newReached, type Reached } from "./reached.ts";

import { UNKNOWN_PHASE } from "./weather.ts";

/** What must hold at every write and every call to the cluster, whatever went wrong before. */
export interface Watch {
  /** The ports with the watch built in: it sees what really happened. */
  readonly table: Table;
  readonly compute: Compute;
  readonly volumes: Volumes;
  readonly violations: string[];
  environments(): ReadonlyMap<string, Environment>;
  disks(): ReadonlyMap<string, Disk>;
  pool(): Pool | undefined;
  readonly life: LifeWatch;
  readonly chat: ChatWatch;
  readonly reached: Reached;
  readonly latency: LatencyWatch;
  /** How long each was wanted when it was made, ms. */
  wantedFirst(uid: string): number | undefined;
  /** Somebody mended a record by hand. */
  mended(item: Item): void;
  /** From now on nothing new is granted: an operator was told so. */
  setClosed(isClosed: boolean): void;
}

const terminal: readonly string[] = ["completed", "expired", "cancelled", "failed", "deleted"];
/** Written down again on purpose: a mistake in the core's own table must show. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  queued: ["queued", "preparing", "stopping", "stopped", "cancelled", "deleted"],
  preparing: ["preparing", "queued", "active", "stopping"],
  active: ["active", "stopping"],
  stopping: ["stopping", "stopped", "completed", "expired", "cancelled", "failed", "deleted"],
  stopped: ["stopped", "queued", "deleted"],
};
/** No call may change the cluster for a life that ended so long ago: the step's budget, a call's time-out, the clocks. */
const LATEST_CALL_MS = 20_000 + 5_000 + 4_000;
const UNITS = 8;
/** The clocks of hosts differ by less than this. */
const CLOCKS_MS = 2_000;
/** And by less than this once the weather has set one of them (weather.ts). */
const STEPPED_CLOCKS_MS = CLOCKS_MS + 15_000;

export function watch(
  { table, compute, volumes }: { table: MemoryTable; compute: MemoryCompute; volumes: MemoryVolumes },
  now: () => number,
  onNew: (environment: Environment) => void,
  tell: (who: string, what: string) => void,
  calmSince: () => number,
  /** Weighing every item costs a tenth of a schedule. */
  measures: boolean,
): Watch {
  const environments = new Map<string, Environment>();
  const wantedFirst = new Map<string, number>();
  const endedAt = new Map<string, number>();
  const lastApplied = new Map<string, number>();
  const lastGone = new Map<string, number>();
  /** When the commands of runs were seen to have exited, by run. */
  const exits = new Map<string, number>();
  let pool: Pool | undefined;
  let events = 0;
  let isClosed = false;
  const reached = newReached();
  const violations: string[] = [];
  const violated = (text: string) => violations.push(`${text} (at ${Math.round(now())})`);

  function wroteEnvironment(next: Environment): void {
    const known = environments.get(next.uid);
    // The record of one that was deleted goes on under another key when a new one takes its id.
    const before = known?.sk === next.sk ? known : undefined;
    environments.set(next.uid, next);
    if (!known) {
      onNew(next);
      wantedFirst.set(next.uid, next.size.wantedMs);
    }
    if (before && next.placement.withdrawals > before.placement.withdrawals) onNew(next);
    if (before?.phase !== next.phase || before.run.n !== next.run.n) tell(`${next.owner}/${next.id}`, phaseText(next));
    if (before) {
      checkChange(before, next);
      failures.wroteEnvironment(before, next);
    }
    latency.wroteEnvironment(before, next);
    if (before?.run.grant && !next.run.grant) checkReleased(before);
    if (!before?.run.grant && next.run.grant) checkTaken(next);
    reached.wroteEnvironment(before, next);
    disks.wroteEnvironment(before, next);
    life.wroteEnvironment(before, next);
    if (terminal.includes(next.phase) && !endedAt.has(next.uid)) endedAt.set(next.uid, now());
    if (next.phase === "expired" && before?.phase === "stopping") checkExpired(next);
  }

  const disks = diskWatch({ compute, volumes, environments, violated });
  const failures = failureWatch({ compute, environments, violated });
  const latency = latencyWatch({ environments, violated, now, calmSince });
  const clocksMs = () => (reached.all().includes("wall clock stepped") ? STEPPED_CLOCKS_MS : CLOCKS_MS);
  const life = lifeWatch({ compute, environments, violated, now, clocksMs });
  const chat = chatWatch({ environments, violated });

  function checkChange(before: Environment, next: Environment): void {
    const follows = terminal.includes(before.phase) ? [before.phase] : (allowed[before.phase] ?? []);
    if (!follows.includes(next.phase)) violated(`${next.id} went from ${before.phase} to ${next.phase}`);
    if (!followsIt(before, next)) violated(`${next.id} was replaced by what is not its successor`);
    if (next.events.count < before.events.count) violated(`${next.id} lost timeline entries`);
    if (next.requests.count < before.requests.count) violated(`${next.id} lost a request`);
    // A deadline says only that it ends: how, says its command, if that was over by then.
    const isOwnEnd = before.end.outcome?.isLimit && before.phase === "stopping" && !next.end.outcome?.isLimit;
    if (before.end.outcome && next.end.outcome?.phase !== before.end.outcome.phase && !isOwnEnd) {
      violated(`${next.id} changed its outcome`);
    }
    const numbers = next.events.timeline.map((entry) => entry.n);
    if (numbers.some((n, index) => index > 0 && n !== (numbers[index - 1] ?? 0) + 1)) {
      violated(`${next.id} has a gap in its timeline`);
    }
  }

  /** The order of the end: nothing is given back while its compute is there, unless that came back meanwhile. */
  function checkReleased(before: Environment): void {
    const run = `${before.uid}-r${before.run.n}`;
    // A worker that slept may make it again after it was seen gone: the looks after the end are for that.
    const cameBack = (lastApplied.get(run) ?? 0) > (lastGone.get(run) ?? Number.POSITIVE_INFINITY);
    if (compute.isLive(before.uid, before.run.n) && !cameBack)
      violated(`${before.id} gave back capacity that is in use`);
  }

  /** A command that had exited by the end of its time ended in its own way. */
  function checkExpired({ id, uid, run: { n: run }, times: { endsAt } }: Environment): void {
    const exitedAt = exits.get(`${uid}-r${run}`) ?? Number.POSITIVE_INFINITY;
    if (exitedAt < (endsAt ?? 0) - CLOCKS_MS) violated(`${id} expired although its command had exited`);
  }

  /** Nobody takes what the ledger does not say, and no node is given twice. */
  function checkTaken(next: Environment): void {
    const entry = [...(pool?.granted ?? []), ...(pool?.held ?? [])].find((one) => one.uid === next.uid);
    if (entry?.run !== next.run.n) violated(`${next.id} took capacity that the ledger does not give it`);
    const used = new Map<string, number>();
    for (const one of environments.values()) {
      for (const share of one.run.grant?.shares ?? []) {
        if (share.node !== null) used.set(share.node, (used.get(share.node) ?? 0) + share.units);
      }
    }
    for (const [node, units] of used) if (units > UNITS) violated(`${units} units of ${node} are held`);
  }

  function wrotePool(next: Pool): void {
    if (pool && !followsIt(pool, next)) violated("the ledger was replaced by what is not its successor");
    const known = new Set([...(pool?.granted ?? []), ...(pool?.held ?? [])].map(({ uid, run }) => `${uid}-r${run}`));
    const fresh = next.granted.find(({ uid, run }) => !known.has(`${uid}-r${run}`));
    if (fresh && isClosed) violated(`${environments.get(fresh.uid)?.id} was granted capacity of a closed pool`);
    latency.wrotePool(pool, next);
    pool = next;
    const entries = [...next.granted, ...next.held];
    for (const environment of environments.values()) {
      if (!environment.run.grant) continue;
      if (!entries.some((entry) => entry.uid === environment.uid && entry.run === environment.run.n)) {
        violated(`the ledger forgot ${environment.id}, which holds capacity`);
      }
    }
    if (new Set(entries.map((entry) => entry.uid)).size < entries.length) violated("the ledger names somebody twice");
  }

  function wroteDisk(next: Disk): void {
    reached.wroteDisk(disks.all().get(next.uid), next);
    disks.wroteDisk(next);
  }

  function applied(uid: string, run: number, existed: boolean, startedBefore: boolean): void {
    lastApplied.set(`${uid}-r${run}`, ++events);
    const since = endedAt.get(uid);
    if (since !== undefined && now() - since > LATEST_CALL_MS) {
      violated(`compute was made for ${uid}, ${Math.round(now() - since)} ms after its end`);
    }
    const environment = environments.get(uid);
    if (!environment) return void violated(`compute was made for ${uid}, which is no environment`);
    const isLiving = environment.phase === "preparing" || environment.phase === "active";
    const living = isLiving && environment.run.n === run && !environment.end.outcome;
    if (!existed && living && startedBefore) violated(`${environment.id} was started twice`);
  }

  const watchedVolumes = disks.watching(volumes);

  return {
    violations,
    environments: () => environments,
    disks: disks.all,
    volumes: { ...watchedVolumes, ...life.watching(watchedVolumes) },
    life,
    reached,
    latency,
    wantedFirst: (uid) => wantedFirst.get(uid),
    mended: (item) => void environments.set(String(item.uid), item as unknown as Environment),
    setClosed: (is) => {
      latency.excuse();
      isClosed = is;
    },
    pool: () => pool,
    chat,
    table: {
      ...table,
      async put(item: Stored, options) {
        const written = item as Item;
        await table.put(written, options);
        const beyond = measures ? beyondBound(written) : undefined;
        if (beyond) violated(beyond);
        // Put off as unreadable: it is what it was.
        if (written.phase === UNKNOWN_PHASE) return;
        if (written.kind === "environment") wroteEnvironment(written as unknown as Environment);
        if (written.kind === "message") chat.wroteMessage(written);
        if (written.kind === "pool") wrotePool(written as unknown as Pool);
        if (written.kind === "disk") wroteDisk(written as unknown as Disk);
        reached.wroteItem(written);
      },
    },
    compute: {
      ...compute,
      ...chat.watching(compute),
      ...failures.watching(compute),
      async apply(run) {
        const existed = (await compute.observe(run.uid, run.run)) !== undefined;
        // One that may be started again may have run before, but never twice in one run.
        const first = environments.get(run.uid)?.policy.restarts ? run.run : 1;
        const startedBefore = startsOf(compute, run.uid, first, run.run) > 0;
        await compute.apply(run);
        applied(run.uid, run.run, existed, startedBefore);
      },
      async observe(uid, run) {
        const seen = await compute.observe(uid, run);
        disks.checkMounts();
        life.lookedAt(uid);
        const name = `${uid}-r${run}`;
        if (seen?.endedAt && seen.exitCode !== null) exits.set(name, seen.endedAt);
        if (!seen && environments.get(uid)?.phase === "stopping") lastGone.set(name, ++events);
        return seen;
      },
    },
  };
}

function phaseText({ phase, run: { n: run }, reason, end: { outcome } }: Environment): string {
  return `is ${phase}, run ${run}${outcome ? `, ends as ${outcome.phase}` : ""}${reason ? `: ${reason}` : ""}`;
}

function startsOf(compute: MemoryCompute, uid: string, first: number, last: number): number {
  let starts = 0;
  for (let one = first; one <= last; one++) starts += compute.starts(uid, one);
  return starts;
}
