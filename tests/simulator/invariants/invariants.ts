import type { Disk } from "#core/disks/record.ts";
import { mayHaveWritten } from "#core/environments/record/disk/disk-use.ts";
import { type Environment, isEnded, isWaiting } from "#core/environments/record/record.ts";
import { instanceTypeOfPool, unitsPerNode } from "#core/fleet.ts";
import type { PlannedPart } from "#core/pools/capacity/pool-parts.ts";
import type { Grant, LedgerItem, MakeableLedger, Pool } from "#core/pools/ledger/record.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Item, Stored, Table } from "#core/ports/table.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { makeableKey } from "#core/store/keys.ts";
import type { MemoryCompute } from "../../fakes/memory-compute.ts";
import type { MemoryTable } from "../../fakes/memory-table.ts";
import type { MemoryVolumes } from "../../fakes/memory-volumes.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import { newReached, type Reached } from "../reached.ts";
import { hasStarted, type ListedGroup } from "../weather/node-group.ts";
import { UNKNOWN_PHASE } from "../weather/weather.ts";
import { type BlockEndWatch, blockEndWatch } from "./block-ends.ts";
import { beyondBound } from "./bounds.ts";
import { capacityWatch } from "./capacity-invariants.ts";
import { type ChatWatch, chatWatch } from "./chat-invariants.ts";
import { diskWatch } from "./disk-invariants.ts";
import { failureWatch } from "./failure-invariants.ts";
import { follows as followsIt } from "./follows.ts";
import { keptWorkWatch } from "./kept-work.ts";
import { type Calmness, type LatencyWatch, latencyWatch } from "./latency-invariants.ts";
import { ledgerWatch } from "./ledger-watch.ts";
import { type LifeWatch, lifeWatch } from "./life-invariants.ts";
import { type ListingWatch, listingWatch } from "./listing-invariants.ts";
import { machineWatch } from "./machine-invariants.ts";
import { nameWatch } from "./name-invariants.ts";
import { plannedDrainWatch } from "./planned-drain-invariants.ts";
import { type RestoreWatch, restoreWatch } from "./restore-invariants.ts";
import { type ShortageWatch, shortageWatch } from "./shortage-invariants.ts";
import { spareMachines, spareUnits } from "./spare-units.ts";

export interface WatchOptions {
  /** Whether to measure every item, which costs a tenth of a schedule. */
  readonly measures?: boolean;
  /** Leaves finished environments out of the comparisons at each write, because a large world has thousands. */
  readonly isLarge?: boolean;
  /** Limit of machines in each pool of a node group, by type. */
  readonly mostNodes?: ReadonlyMap<string, number>;
  /** The only groups of the type h100. */
  readonly listedGroups?: readonly ListedGroup[] | undefined;
  /** Limit of the queue. The default is that of test settings. */
  readonly maxQueueHours?: number | undefined;
  readonly also?: WatchedWrites;
}

export interface WatchedWrites {
  wroteEnvironment(before: Environment | undefined, next: Environment): void;
  /** Called with the pool after each plan, and after the plan before. */
  wrotePool(before: PoolView | undefined, next: PoolView): void;
  wroteItem(item: Item): void;
}

/** Checks what must hold at each write and call to the cluster, whatever faults came before. */
export interface Watch {
  /** Ports below the faults, so the watch sees what really happens. */
  readonly table: Table;
  readonly compute: Compute;
  readonly volumes: Volumes;
  readonly violations: string[];
  violated(text: string): void;
  environments(): ReadonlyMap<string, Environment>;
  living(): ReadonlyMap<string, Environment>;
  disks(): ReadonlyMap<string, Disk>;
  pools(): ReadonlyMap<string, PoolView>;
  /** Units of all machines that were ever in a ledger, by name. */
  nodes(): ReadonlyMap<string, number>;
  /** Checks that no two runs mount one volume. Small worlds call it at each observation. */
  checkMounts(): void;
  readonly life: LifeWatch;
  readonly chat: ChatWatch;
  readonly reached: Reached;
  clocksMs(): number;
  readonly latency: LatencyWatch;
  /** Requested time of an environment when it was created, in ms. */
  wantedFirst(uid: string): number | undefined;
  isForced(uid: string): boolean;
  whenWritten(call: (before: Environment | undefined, next: Environment) => void): void;
  whenDiskWritten(call: (disk: Disk) => void): void;
  readonly restores: RestoreWatch;
  damaged(uid: string): void;
  mended(item: Item): void;
  /** Notes that an operator's request to close or open the pool was answered. */
  setClosed(isClosed: boolean): void;
  /** Notes that an operator's request to plan a drain, or to drop it, was answered. */
  setPlanned(plan: PlannedPart | undefined): void;
  readonly blockEnds: BlockEndWatch;
  readonly shortages: ShortageWatch;
  readonly listings: ListingWatch;
}

const terminal: readonly string[] = ["completed", "expired", "cancelled", "failed", "deleted"];
/** Repeats the core's table, so that a mistake there shows. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  queued: ["queued", "preparing", "stopping", "stopped", "cancelled", "deleted"],
  preparing: ["preparing", "queued", "active", "stopping"],
  active: ["active", "stopping"],
  stopping: ["stopping", "queued", "stopped", "completed", "expired", "cancelled", "failed", "deleted"],
  stopped: ["stopped", "queued", "deleted"],
};
/**
 * After an environment's end, no call may change the cluster any longer: the step's budget, a call's time-out, the
 * clocks.
 */
const LATEST_CALL_MS = 20_000 + 5_000 + 4_000;
/**
 * After a record left `preparing`, a sleeping worker may start a run this long: the step's budget and a call's
 * time-out.
 */
const LATEST_START_MS = 26_000;
const CLOCKS_MS = 2_000;
/** Measuring an item costs time, so only every eighth write is measured, and all items at the end (final.ts). */
const MEASURED_EVERY = 8;
/** The same limit after weather.ts has changed one clock. */
const STEPPED_CLOCKS_MS = CLOCKS_MS + 15_000;

export function watch(
  { table, compute, volumes }: { table: MemoryTable; compute: MemoryCompute; volumes: MemoryVolumes },
  now: () => number,
  onNew: (environment: Environment) => void,
  tell: (who: string, subject: string) => void,
  calmness: Calmness,
  {
    measures = false,
    isLarge = false,
    also,
    mostNodes = new Map(),
    listedGroups,
    maxQueueHours = 48,
  }: WatchOptions = {},
): Watch {
  const environments = new Map<string, Environment>();
  const wantedFirst = new Map<string, number>();
  const endedAt = new Map<string, number>();
  /** When a run left `preparing`, or its grant began to be withdrawn. */
  const leftAt = new Map<string, number>();
  const exits = new Map<string, number>();
  const ledgers = ledgerWatch();
  /** Pools as of the last write of their head. */
  const planned = new Map<string, PoolView>();
  /** Grants that were written while an operator had closed the pool. */
  const grantedClosed = new Set<string>();
  const nodes = new Map<string, number>();
  /** Environments with capacity, and unfinished environments. */
  const holding = new Map<string, Environment>();
  const living = new Map<string, Environment>();
  let puts = 0;
  const endedByForce = new Set<string>();
  const gaveBack = new Set<string>();
  const callers: ((before: Environment | undefined, next: Environment) => void)[] = [];
  let isClosed = false;
  const reached = newReached();
  const violations: string[] = [];
  const violated = (text: string) => void violations.push(`${text} (at ${Math.round(now())})`);

  function wroteEnvironment(next: Environment): void {
    const knownEnvironment = environments.get(next.uid);
    // A deleted environment's record moves to another key when a new one takes its id.
    const before = knownEnvironment?.sk === next.sk ? knownEnvironment : undefined;
    environments.set(next.uid, next);
    // A manual edit lost the previous state, so a forced end is judged from here on.
    const isLost = before !== undefined && isForced(next) && !isForced(before);
    if (isLost) endedByForce.add(next.uid);
    if (before?.run.grant && !next.run.grant) gaveBack.add(`${before.uid}-r${before.run.n}`);
    // A forced end takes over what the ledger names. A planner that knew of the return may drop it.
    const mayBeDropped = endedByForce.has(next.uid) && gaveBack.has(`${next.uid}-r${next.run.n}`);
    const mustBeInLedger = next.run.grant !== null && !mayBeDropped;
    keep(holding, next, mustBeInLedger);
    keep(living, next, !isEnded(next) || next.dueAt !== undefined);
    also?.wroteEnvironment(before, next);
    if (before && !isLost) capacity.wroteEnvironment(before, next);
    if (!knownEnvironment) {
      onNew(next);
      wantedFirst.set(next.uid, next.size.wantedMs);
    }
    if (before && next.placement.withdrawals > before.placement.withdrawals) onNew(next);
    if (before?.phase !== next.phase || before.run.n !== next.run.n) tell(`${next.owner}/${next.id}`, phaseText(next));
    if (before && !isLost) {
      checkChange(before, next);
      failures.wroteEnvironment(before, next);
      machines.wroteEnvironment(before, next);
      shortages.wroteEnvironment(before, next);
    }
    latency.wroteEnvironment(before, next);
    const isLeaving = next.phase !== "preparing" || next.run.withdrawing;
    if (before?.phase === "preparing" && !before.run.withdrawing && isLeaving) {
      leftAt.set(`${before.uid}-r${before.run.n}`, now());
    }
    if (before?.run.grant && !next.run.grant && !isLost) checkReleased(before);
    if (!before?.run.grant && mustBeInLedger) checkTaken(next);
    reached.wroteEnvironment(before, next);
    disks.wroteEnvironment(before, next);
    kept.wroteEnvironment(next);
    // If the record lost its run, only a ledger knows which run it was.
    life.wroteEnvironment(isLost ? undefined : before, next);
    if (terminal.includes(next.phase) && !endedAt.has(next.uid)) endedAt.set(next.uid, now());
    if (next.phase === "expired" && before?.phase === "stopping") checkExpired(next);
    for (const call of callers) call(before, next);
  }

  const followed = isLarge ? living : environments;
  const disks = diskWatch({ compute, volumes, environments: followed, violated });
  const kept = keptWorkWatch({ compute, volumes, disks: disks.all(), violated });
  const names = nameWatch({ disks: disks.all, violated });
  const restores = restoreWatch({ disks, volumes, violated, now });
  const diskCallers: ((disk: Disk) => void)[] = [];
  const failures = failureWatch({
    compute,
    volumes,
    environments,
    disks: disks.all(),
    violated,
    now,
    isSourceSeen: restores.isSourceSeen,
  });
  const capacity = capacityWatch({ ...compute, violated });
  const machines = machineWatch({ compute, environments, violated, reached });
  const latency = latencyWatch({ environments, violated, now, calmness });
  const clocksMs = () => (reached.all().includes("wall clock stepped") ? STEPPED_CLOCKS_MS : CLOCKS_MS);
  const plannedDrains = plannedDrainWatch({ now, clocksMs });
  const plannedEnds = plannedDrainWatch({ now, clocksMs });
  const blockEnds = blockEndWatch(plannedEnds.set);
  const shortages = shortageWatch({ environments, violated, reached, now, clocksMs, calmness, maxQueueHours });
  const listings = listingWatch({ compute, pools: ledgers.pools, hasUnreadable: latency.hasUnreadable, violated });
  const life = lifeWatch({ compute, environments, violated, now, clocksMs });
  const chat = chatWatch({ environments, violated });

  function checkChange(before: Environment, next: Environment): void {
    const follows = terminal.includes(before.phase) ? [before.phase] : (allowed[before.phase] ?? []);
    if (!follows.includes(next.phase)) violated(`${next.id} went from ${before.phase} to ${next.phase}`);
    if (before.phase === "stopping" && next.phase === "queued") checkRequeued(before, next);
    if (!followsIt(before, next)) violated(`${next.id} was replaced by what is not its successor`);
    if (next.events.count < before.events.count) violated(`${next.id} lost timeline entries`);
    if (next.requests.count < before.requests.count) violated(`${next.id} lost a request`);
    // A deadline decides only that the run ends. If the command had exited before, its exit decides the outcome.
    const isOwnEnd = before.end.outcome?.isLimit && before.phase === "stopping" && !next.end.outcome?.isLimit;
    if (before.end.outcome && next.end.outcome?.phase !== before.end.outcome.phase && !isOwnEnd) {
      violated(`${next.id} changed its outcome`);
    }
    const numbers = next.events.timeline.map((entry) => entry.n);
    if (numbers.some((n, index) => index > 0 && n !== (numbers[index - 1] ?? 0) + 1)) {
      violated(`${next.id} has a gap in its timeline`);
    }
  }

  /** An interrupted job returns to the queue without a run, with its disk and the rest of its time. */
  function checkRequeued(before: Environment, next: Environment): void {
    const { id, policy, end, run, times, size, disk } = next;
    if (policy.onInterruption !== "requeue" || end.outcome) violated(`${id} is queued again and did not ask for it`);
    if (run.grant || run.n !== before.run.n + 1) violated(`${id} is queued again with a run`);
    const { startedAt } = before.run;
    const allMs = size.wantedMs + (times.earlierMs ?? 0) - (before.times.earlierMs ?? 0);
    if (startedAt !== null && allMs !== before.size.wantedMs) violated(`${id} is queued again for another time`);
    if (before.disk && (!disk || disk.released || mayHaveWritten(before.disk) !== mayHaveWritten(disk)))
      violated(`${id} is queued again without its disk`);
  }

  /** Capacity is returned only when its compute is gone and no sleeping worker can create it again. */
  function checkReleased({ id, uid, run: { n: run, applyingAt } }: Environment): void {
    if (compute.isLive(uid, run)) violated(`${id} gave back capacity that is in use`);
    const since = now() - (leftAt.get(`${uid}-r${run}`) ?? 0);
    const isSafe = applyingAt === null || compute.hasTombstone(uid, run) || since >= LATEST_START_MS;
    if (!isSafe) violated(`${id} gave back capacity ${Math.round(since)} ms after it could be started`);
  }

  /** A command that exited in time decides its outcome. */
  function checkExpired({ id, uid, run: { n: run }, times: { endsAt } }: Environment): void {
    const exitedAt = exits.get(`${uid}-r${run}`) ?? Number.POSITIVE_INFINITY;
    if (exitedAt < (endsAt ?? 0) - clocksMs()) violated(`${id} expired although its command had exited`);
  }

  /** Environments take only what the ledger grants, and no unit is granted twice. */
  function checkTaken(next: Environment): void {
    const pool = ledgers.pools().get(next.size.pool);
    const id = next.run.grant?.id;
    const entry = [...(pool?.granted ?? []), ...(pool?.held ?? [])].find((grant) => grant.id === id);
    if (entry?.uid !== next.uid || entry.run !== next.run.n) {
      violated(`${next.id} took capacity that the ledger does not give it`);
    }
    const { machines, units: wanted } = next.size;
    const shares = next.run.grant?.shares ?? [];
    if (shares.length !== machines || shares.some(({ units }) => units !== wanted)) {
      violated(`${next.id} took other capacity than it asks for`);
    }
    // A forced end takes over what the ledger names in order to return it.
    const isUsed = next.phase !== "stopping";
    if (isUsed && isClosed && grantedClosed.has(id ?? ""))
      violated(`${next.id} took capacity that a closed pool granted`);
    if (isUsed && plannedDrains.isLate(id)) violated(`${next.id} took capacity that is drained before its end`);
    if (isUsed && plannedEnds.isLate(id)) violated(`${next.id} took a machine of a block that it would outlive`);
    const used = new Map<string, number>();
    for (const environment of holding.values()) {
      for (const share of environment.run.grant?.shares ?? []) {
        if (share.node !== null) used.set(share.node, (used.get(share.node) ?? 0) + share.units);
      }
    }
    const most = unitsPerNode(instanceTypeOfPool(next.size.pool));
    for (const { node } of shares) {
      const units = used.get(node ?? "") ?? 0;
      if (units > most) violated(`${units} units of ${node} are held`);
    }
  }

  /** Judges items together that were written together. */
  function wroteLedger(written: readonly (Pool | LedgerItem)[]): void {
    for (const next of written) {
      const knownLedger = ledgers.find(next);
      if (knownLedger && !followsIt(knownLedger, next))
        violated("a ledger item was replaced by what is not its successor");
    }
    const [first] = written;
    if (!first) return;
    const { type } = first;
    changedLedger(type, () => {
      for (const next of written) ledgers.wrote(next);
    });
    const view = ledgers.pools().get(type);
    if (first.kind !== "pool" || !view) return;
    also?.wrotePool(planned.get(type), view);
    planned.set(type, view);
  }

  function changedLedger(type: string, change: () => void): void {
    const before = ledgers.pools().get(type);
    change();
    const next = ledgers.pools().get(type);
    if (!next) return;
    const knownNames = new Set([...(before?.granted ?? []), ...(before?.held ?? [])].map(({ id }) => id));
    const fresh = next.granted.filter(({ id }) => !knownNames.has(id));
    const isFresh = ({ id }: Pick<Grant, "id">) => !knownNames.has(id);
    const findZone = ({ uid }: Pick<Grant, "uid">) => environments.get(uid)?.zone ?? undefined;
    if (isClosed) for (const { id } of fresh) grantedClosed.add(id);
    const { group } = (ledgers.find(makeableKey(type)) ?? {}) as Partial<MakeableLedger>;
    for (const drains of [plannedDrains, plannedEnds]) drains.granted(fresh, next, group?.members ?? []);
    const most = mostNodes.get(type);
    // An earlier excess, as after a machine returns, is not the fault of this write.
    if (
      most !== undefined &&
      before &&
      fresh.length > 0 &&
      spareUnits(before, most, { uses, isUnpinned, isFresh, findZone }) >= 0 &&
      spareUnits(next, most, { uses, isUnpinned, isFresh, findZone }) < 0
    ) {
      violated(`more of ${type} is given than its machines have, with those still to be made`);
    }
    if (listedGroups && type === "h100" && fresh.length > 0) {
      const judgements = { uses, isUnpinned, isFresh, findZone };
      const groups = listedGroups.filter((group) => hasStarted(group, now() + clocksMs()));
      const isFull = before && spareMachines(before, groups, judgements) < 0;
      if (!isFull && spareMachines(next, groups, judgements) < 0)
        violated(`more of ${type} is given in some zones than their machines have, with those that groups may make`);
    }
    latency.wrotePool(before, next);
    shortages.wrotePool(before, next, fresh);
    for (const { name, units } of next.nodes) nodes.set(name, units);
    capacity.wroteNodes(next.nodes);
    for (const environment of holding.values()) {
      const { grant } = environment.run;
      if (environment.size.pool === type && grant && !ledgers.isWhole(type, grant.id)) {
        violated(`the ledger forgot ${environment.id}, which holds capacity`);
      }
    }
  }

  /**
   * Reports whether the entry uses units. A plan writes several items, so an entry may remain until its item is
   * written.
   */
  function uses({ uid, run: n }: Pick<Grant, "uid" | "run">): boolean {
    const environment = environments.get(uid);
    if (environment?.run.n !== n) return false;
    return environment.run.grant !== null || isWaiting(environment);
  }

  /** A bound run may appear as unpinned until both items are written. */
  function isUnpinned(entry: Pick<Grant, "uid" | "run">): boolean {
    return uses(entry) && environments.get(entry.uid)?.run.machines.length === 0;
  }

  function wroteDisk(next: Disk): void {
    reached.wroteDisk(disks.all().get(next.uid), next);
    restores.wroteDisk(next);
    disks.wroteDisk(next);
    for (const call of diskCallers) call(next);
  }

  function applied(uid: string, run: number, existed: boolean, startedBefore: boolean): void {
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

  function wrote(written: Item, isJudged = false): void {
    const beyond = measures || puts++ % MEASURED_EVERY === 0 ? beyondBound(written) : undefined;
    if (beyond) violated(beyond);
    // An unreadable record is as it was before the edit.
    if (written.phase === UNKNOWN_PHASE) return;
    if (written.kind === "environment") wroteEnvironment(written as unknown as Environment);
    if (written.kind === "message") chat.wroteMessage(written);
    if (isLedger(written) && !isJudged) wroteLedger([written]);
    if (written.kind === "disk") wroteDisk(written as unknown as Disk);
    names.wrote(written);
    blockEnds.wroteItem(written);
    reached.wroteItem(written);
    also?.wroteItem(written);
  }

  const watchedVolumes = restores.watching(disks.watching({ ...volumes, ...kept.watching(volumes) }));

  return {
    violations,
    violated,
    environments: () => environments,
    living: () => living,
    disks: disks.all,
    volumes: { ...watchedVolumes, ...life.watching(watchedVolumes), ...machines.watchingVolumes(watchedVolumes) },
    life,
    reached,
    clocksMs,
    latency,
    wantedFirst: (uid) => wantedFirst.get(uid),
    isForced: (uid) => endedByForce.has(uid),
    whenWritten: (call) => void callers.push(call),
    whenDiskWritten: (call) => void diskCallers.push(call),
    restores,
    damaged: latency.unreadable,
    mended: (item) => {
      const environment = item as unknown as Environment;
      environments.set(environment.uid, environment);
      latency.readable(environment);
    },
    setClosed: (is) => {
      latency.excuse();
      isClosed = is;
      if (!is) grantedClosed.clear();
    },
    setPlanned(plan) {
      latency.excuse();
      plannedDrains.set(plan);
    },
    blockEnds,
    shortages,
    listings,
    pools: ledgers.pools,
    nodes: () => nodes,
    checkMounts: disks.checkMounts,
    chat,
    table: {
      ...table,
      async put(item: Stored, options) {
        await table.put(item, options);
        wrote(item as Item);
      },
      async putAll(puts) {
        await table.putAll(puts);
        const items = puts.map(({ item }) => item as Item);
        wroteLedger(items.flatMap((item) => (isLedger(item) ? [item] : [])));
        for (const item of items) wrote(item, true);
      },
      async remove(key, options) {
        await table.remove(key, options);
        const type = ledgers.findType(key);
        if (type !== undefined) changedLedger(type, () => ledgers.removed(key));
        chat.removed(key);
      },
    },
    compute: {
      ...compute,
      ...chat.watching(compute),
      ...failures.watching(machines.watching(compute)),
      async apply(run) {
        const existed = (await compute.observe(run.uid, run.run)) !== undefined;
        // Such an environment may have had runs before, but starts each run once.
        const { restarts = false, onInterruption } = environments.get(run.uid)?.policy ?? {};
        const first = restarts || onInterruption === "requeue" ? run.run : 1;
        const startedBefore = listStarts(compute, run.uid, first, run.run) > 0;
        await compute.apply(run);
        applied(run.uid, run.run, existed, startedBefore);
      },
      async observe(uid, run) {
        const seen = await compute.observe(uid, run);
        if (!isLarge) disks.checkMounts();
        life.noteCheck(uid);
        const name = `${uid}-r${run}`;
        if (seen?.endedAt && seen.exitCode !== null) exits.set(name, seen.endedAt);
        // The run may be removed while the reconcile that saw its end never got the answer.
        if (!seen && environments.get(uid)?.run.removedAt === null) exits.delete(name);
        return seen;
      },
    },
  };
}

function isLedger(item: unknown): item is Pool | LedgerItem {
  return ["pool", "node", "makeable"].includes(String((item as Item).kind));
}

function keep<Kept extends { readonly uid: string }>(map: Map<string, Kept>, entry: Kept, isKept: boolean): void {
  if (isKept) map.set(entry.uid, entry);
  else map.delete(entry.uid);
}

function phaseText({ phase, run: { n: run }, reason, end: { outcome } }: Environment): string {
  return `is ${phase}, run ${run}${outcome ? `, ends as ${outcome.phase}` : ""}${reason ? `: ${reason}` : ""}`;
}

function isForced({ phase, reason }: Environment): boolean {
  return phase === "stopping" && reason?.startsWith("Ended by the operator") === true;
}

function listStarts(compute: MemoryCompute, uid: string, first: number, last: number): number {
  let starts = 0;
  for (let value = first; value <= last; value++) starts += compute.starts(uid, value);
  return starts;
}
