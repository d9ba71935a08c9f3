import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { instanceTypeOfPool } from "#core/fleet.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Item } from "#core/ports/table.ts";
import { keyText, planKey } from "#core/store/keys.ts";
import type { PoolView } from "../../worlds/pool-view.ts";
import { beyondBound } from "../invariants/bounds.ts";
import type { WatchedWrites } from "../invariants/invariants.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { newCrowd, type Sample } from "./population-crowd.ts";
import { type Figures, newSamples, unitHours } from "./population-figures.ts";
import type { Hours } from "./population-hours.ts";
import type { People } from "./population-people.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
/** Longest time until a fitting environment is granted in quiet hours. Almost all are granted within `PROMPT_MS`. */
const LONGEST_IDLE_MS = 2 * MINUTE;
const PROMPT_MS = 5_000;
/** A crashed worker hides its message for a minute, and the messages of its pool behind it. */
const HIDDEN_MS = 65_000;
/** How long an environment may be in two ledgers, or in one after its release. */
const LONGEST_NAMED_MS = 120_000;
/** How late an end may be decided, in quiet and in bad hours. */
const LATE_MS = 2 * MINUTE;
const LATE_IN_BAD_MS = 30 * MINUTE;
/** The sweep resends a lost reconcile at the minute after half a minute. */
const LONGEST_OVERDUE_MS = 3 * MINUTE;
const LONGEST_STOPPING_MS = 15 * MINUTE;
/** After this wait, an environment has an estimate. */
const PLACED_MS = 2 * MINUTE;
/** A plan considers at most 50 environments of an owner, and fewer with very many owners. */
const CONSIDERED = 40;
/** Part of frequent writes that is measured. */
const WEIGHED_EVERY = 8;
const ALWAYS_WEIGHED = 100;
/** Limit of records per owner and kind, plus what one reconcile removes (docs/architecture/table.md). */
const MOST_KEPT = 1_000 + 25;
const ALLOWED = { writes: 60, writesAnHour: 130, sends: 80, sendsAnHour: 190, eachRequest: 4 };
const HEX = [..."0123456789abcdef"];

/** Checks of a population beyond those of every schedule, and its figures. */
export interface PopulationWatch extends WatchedWrites {
  sent(message: ReconcileRequest): void;
  /** Call once a virtual minute. */
  everyMinute(): Promise<void>;
  /** Call when all users have ended their work and nothing is due. */
  final(): string[];
  figures(people: number, days: number, calls: number): Figures;
}

interface Counts {
  writes: number;
  sends: number;
  /** Time with frequent reconciles: preparing, active and stopping. `commandMs` is the part with a command. */
  busyMs: number;
  commandMs: number;
  busySince: number | undefined;
  runs: number;
}

export function populationWatch(
  sim: Scheduler,
  settings: { readonly maxQueueHours: number; readonly preparingMinutes: number },
  parts: () => {
    readonly world: SimulatedWorld;
    readonly hours: Hours;
    readonly people: People;
    readonly violated: (text: string) => void;
  },
): PopulationWatch {
  const now = () => sim.time();
  const violated = (text: string) => parts().violated(`${text} (at ${Math.round(now())})`);
  const counts = new Map<string, Counts>();
  /** Uids by the record's key, as in messages. */
  const uids = new Map<string, string>();
  const grantedAt = new Map<string, number>();
  const releasedAt = new Map<string, number>();
  const namedTwiceSince = new Map<string, number>();
  const estimated = new Map<string, { readonly startsAt: number }>();
  /** Environments without an estimate, and since when. The next plan repeats advice that was not written. */
  const unestimated = new Map<string, number>();
  const served = new Set<string>();
  const weighed = new Map<string, number>();
  const largest = new Map<string, number>();
  const waits = { light: newSamples(), heavy: newSamples(), first: newSamples() };
  const [granting, taking, estimates, writes, sends] = [
    newSamples(),
    newSamples(),
    newSamples(),
    newSamples(),
    newSamples(),
  ];
  const gpuHours = { there: 0, used: 0, idleWanted: 0, leaked: 0 };
  let [plans, mostWaiting, minutes, estimatesMissing] = [0, 0, 0, 0];
  const crowd = newCrowd({ violated, now, granted });
  const isUndisturbed = (since: number) =>
    since - sim.setBackAt() > HIDDEN_MS && parts().hours.isQuiet(now()) && since >= parts().hours.quietSince(now());
  /** Returns from when everything must be prompt for something that began at `since`. */
  const quietFrom = (since: number) => Math.max(since, parts().hours.quietSince(now()));

  function granted({ environment, grant, fitsSince }: Sample): void {
    const { owner, queuedAt, uid, id } = environment;
    grantedAt.set(formatName(grant), now());
    if (fitsSince !== undefined && isUndisturbed(fitsSince))
      granting.add(now() - fitsSince, `${parts().people.all.find((person) => person.uid === owner)?.name}/${id}`);
    if (!isGpu(environment.size.pool)) return;
    const role = parts().people.findRole(owner);
    waits[role === "heavy" ? "heavy" : "light"].add(now() - queuedAt);
    if (!served.has(owner)) waits.first.add(now() - queuedAt);
    served.add(owner);
    unestimated.delete(uid);
    const estimate = estimated.get(uid);
    if (estimate) estimates.add(Math.abs(estimate.startsAt - now()));
    estimated.delete(uid);
  }

  function getCounts(uid: string): Counts {
    const knownCount = counts.get(uid) ?? {
      writes: 0,
      sends: 0,
      busyMs: 0,
      commandMs: 0,
      busySince: undefined,
      runs: 1,
    };
    counts.set(uid, knownCount);
    return knownCount;
  }

  function count(next: Environment): void {
    const counted = getCounts(next.uid);
    counted.writes += 1;
    counted.runs = next.run.n;
    const isBusy = next.phase === "preparing" || next.phase === "active" || next.phase === "stopping";
    if (counted.busySince !== undefined && !isBusy) {
      counted.busyMs += now() - counted.busySince;
      if (next.hasCommand) counted.commandMs += now() - counted.busySince;
      counted.busySince = undefined;
    }
    if (isBusy) counted.busySince ??= now();
    if (isEnded(next) && next.dueAt === undefined && next.end.cleanLooks > 0) judgeCounts(next, counted);
  }

  /**
   * Judges the writes and messages of one environment (docs/architecture/reconciliation.md). A command makes reconciles
   * more frequent.
   */
  function judgeCounts({ id, uid, createdAt, requests }: Environment, counted: Counts): void {
    counts.delete(uid);
    const waitedHours = (now() - createdAt - counted.busyMs) / HOUR;
    const hours = counted.busyMs / HOUR + (6 * counted.commandMs) / HOUR + waitedHours / 8;
    const more = counted.runs + requests.count;
    const most = (base: number, anHour: number) => base * counted.runs + anHour * hours + ALLOWED.eachRequest * more;
    writes.add(Math.round(counted.writes - ALLOWED.writesAnHour * hours));
    sends.add(Math.round(counted.sends - ALLOWED.sendsAnHour * hours));
    if (counted.writes > most(ALLOWED.writes, ALLOWED.writesAnHour))
      violated(`${id} was written ${counted.writes} times in ${hours.toFixed(2)} h`);
    if (counted.sends > most(ALLOWED.sends, ALLOWED.sendsAnHour))
      violated(`${counted.sends} messages were sent to ${id} in ${hours.toFixed(2)} h`);
  }

  function weigh(item: Item): void {
    const kind = String(item.kind);
    const times = (weighed.get(kind) ?? 0) + 1;
    weighed.set(kind, times);
    if (times > ALWAYS_WEIGHED && times % WEIGHED_EVERY > 0) return;
    const bytes = JSON.stringify(item).length;
    largest.set(kind, Math.max(largest.get(kind) ?? 0, bytes));
    const beyond = beyondBound(item);
    if (beyond) violated(beyond);
  }

  function judgeUsed({ owners }: Item): void {
    const strangers = Object.keys(owners as object).filter((owner) => parts().people.findRole(owner) === undefined);
    if (strangers.length > 0) violated(`what was used is kept of ${strangers[0]}, who is nobody`);
  }

  /** Compares the ledgers' entries with the records. */
  function judgeLedgers(world: SimulatedWorld): void {
    const named = new Map<string, string>();
    for (const pool of world.watch.pools().values()) {
      for (const entry of [...pool.granted, ...pool.held]) {
        const isTwice = named.has(entry.uid);
        named.set(entry.uid, pool.type);
        const since = isTwice ? (namedTwiceSince.get(entry.uid) ?? now()) : undefined;
        if (since !== undefined) namedTwiceSince.set(entry.uid, since);
        if (since !== undefined && now() - since > LONGEST_NAMED_MS) violated(`${entry.uid} is in two ledgers`);
        const released = releasedAt.get(formatName(entry));
        if (released === undefined || now() - quietFrom(released) <= LONGEST_NAMED_MS) continue;
        const units = entry.shares.reduce((sum, share) => sum + share.units, 0);
        if (isGpu(pool.type)) gpuHours.leaked += unitHours(units, MINUTE);
        violated(`the ledger names ${world.watch.environments().get(entry.uid)?.id} long after it gave back`);
      }
    }
  }

  function judgePools(world: SimulatedWorld): void {
    for (const pool of world.watch.pools().values()) {
      crowd.refresh(pool);
      const line = crowd.waiting(pool.type);
      mostWaiting = Math.max(mostWaiting, line.size);
      for (const [uid, since] of crowd.fitting(pool.type)) {
        if (!parts().hours.isQuiet(now()) || now() - quietFrom(since) <= LONGEST_IDLE_MS) continue;
        violated(
          `${world.watch.environments().get(uid)?.id} waits although it has fitted for ${Math.round((now() - since) / 1000)} s`,
        );
      }
      if (isGpu(pool.type)) addHours(pool, line);
    }
  }

  function addHours(pool: PoolView, line: ReadonlyMap<string, Environment>): void {
    const free = crowd.freeUnits(pool, now());
    for (const { units } of pool.nodes) gpuHours.there += unitHours(units, MINUTE);
    for (const { shares } of pool.held) for (const { units } of shares) gpuHours.used += unitHours(units, MINUTE);
    if (line.size === 0) return;
    const smallest = Math.min(
      ...[...line.values()].filter(({ size }) => size.machines === 1).map(({ size }) => size.units),
    );
    const wanted = [...line.values()].reduce((sum, { size }) => sum + size.machines * size.units, 0);
    const idle = [...free.values()].filter((units) => units >= smallest).reduce((sum, units) => sum + units, 0);
    gpuHours.idleWanted += unitHours(Math.min(idle, wanted), MINUTE);
  }

  function judgeLimits(world: SimulatedWorld): void {
    const lateMs = parts().hours.isQuiet(now()) ? LATE_MS : LATE_IN_BAD_MS;
    for (const environment of world.watch.living().values()) {
      const limit = findLimit(environment, settings, world.watch.pools().get(environment.size.pool));
      if (limit !== undefined && now() > limit + lateMs)
        violated(`${environment.id} is ${environment.phase} past its limit`);
      const { dueAt = now() } = environment;
      const isOverdue = parts().hours.isQuiet(now()) && now() - quietFrom(dueAt) > LONGEST_OVERDUE_MS;
      if (isOverdue) violated(`${environment.id} is overdue since ${Math.round((now() - dueAt) / 1000)} s`);
      const { stoppingAt } = environment.end;
      const isStuck =
        environment.phase === "stopping" && stoppingAt !== null && now() - quietFrom(stoppingAt) > LONGEST_STOPPING_MS;
      if (isStuck && parts().hours.isQuiet(now()))
        violated(`${environment.id} is stopping for too long: ${environment.end.waitsFor}`);
    }
  }

  /** Each waiting environment has an estimate, or is behind all that the forecast covers. */
  async function judgeEstimates(world: SimulatedWorld): Promise<void> {
    if (!parts().hours.isQuiet(now())) return;
    for (const pool of world.watch.pools().values()) {
      const line = [...crowd.waiting(pool.type).values()].filter(({ queuedAt }) => now() - queuedAt > PLACED_MS);
      if (line.length === 0) continue;
      const items = await Promise.all(HEX.map((digit) => world.table.get(planKey(pool.type, digit))));
      const placements = new Map(items.flatMap((item) => Object.entries(item?.entries ?? {})));
      const isNamed = (uid: string) => [...pool.granted, ...pool.held].some((entry) => entry.uid === uid);
      const before = new Map<string, number>();
      for (const { uid, id, owner } of line.sort((a, b) => a.queuedAt - b.queuedAt)) {
        const ahead = before.get(owner) ?? 0;
        before.set(owner, ahead + 1);
        const [, startsAt, code] = placements.get(uid) ?? [];
        const missedAt = unestimated.get(uid);
        unestimated.delete(uid);
        if (typeof startsAt === "number") {
          if (!estimated.has(uid)) estimated.set(uid, { startsAt });
          if (startsAt < now() - HOUR) violated(`${id} is told that it starts in the past`);
          continue;
        }
        if (ahead >= CONSIDERED || isNamed(uid) || code === "never" || code === "none") continue;
        unestimated.set(uid, missedAt ?? now());
        if (missedAt === undefined || now() - quietFrom(missedAt) <= PLACED_MS) continue;
        estimatesMissing += 1;
        violated(`${id} waits and is told nothing of when it starts`);
      }
    }
  }

  function judgeKept(items: readonly Item[]): string[] {
    const kept = new Map<string, number>();
    for (const item of items) {
      const isEnd = item.kind === "ended" || (item.kind === "environment" && isEnded(item as unknown as Environment));
      if (isEnd) kept.set(item.pk, (kept.get(item.pk) ?? 0) + 1);
    }
    const beyond = [...kept].filter(([, many]) => many > MOST_KEPT);
    return beyond.map(([pk, many]) => `${many} that ended are kept under ${pk}`);
  }

  return {
    wroteEnvironment(before, next) {
      uids.set(keyText(next), next.uid);
      count(next);
      const took = !before?.run.grant && next.run.grant ? grantedAt.get(getRun(next)) : undefined;
      if (took !== undefined && isUndisturbed(took)) taking.add(now() - took, next.id);
      if (took !== undefined) grantedAt.delete(getRun(next));
      if (before?.run.grant && !next.run.grant) releasedAt.set(getRun(before), now());
      if (isEnded(next) && next.dueAt === undefined) releasedAt.delete(getRun(next));
      if (next.phase !== "queued") unestimated.delete(next.uid);
      crowd.wroteEnvironment(next);
    },
    wrotePool(before, next) {
      if (next.plans !== before?.plans) plans += 1;
      crowd.wrotePool(before, next);
    },
    wroteItem(item) {
      weigh(item);
      if (item.kind === "used") judgeUsed(item);
    },
    sent({ look: recordKey }) {
      const uid = uids.get(recordKey);
      if (uid !== undefined) getCounts(uid).sends += 1;
    },
    async everyMinute() {
      const { world } = parts();
      minutes += 1;
      judgeLedgers(world);
      judgePools(world);
      if (minutes % 5 === 0) judgeLimits(world);
      if (minutes % 10 === 0 || unestimated.size > 0) await judgeEstimates(world);
      if (minutes % 10 === 0) world.watch.checkMounts();
    },
    final() {
      const { world } = parts();
      const late = granting.at(0.99) > PROMPT_MS ? [`capacity is granted ${granting.at(0.99)} ms late (p99)`] : [];
      if (taking.at(0.99) > PROMPT_MS) late.push(`grants are taken ${taking.at(0.99)} ms late (p99)`);
      return [...late, ...judgeKept(world.table.all())];
    },
    figures: (people, days, calls) => ({
      people,
      days,
      calls,
      plans,
      mostWaiting,
      gpuHours,
      waits,
      granting,
      taking,
      estimates,
      estimatesMissing,
      largest,
      writes,
      sends,
      environments: parts().world.watch.environments().size,
    }),
  };
}

function isGpu(type: string): boolean {
  return instanceTypeOfPool(type).gpus > 0;
}

function getRun({ uid, run }: Environment): string {
  return formatName({ uid, run: run.n });
}

function formatName({ uid, run }: { readonly uid: string; readonly run: number }): string {
  return `${uid}-r${run}`;
}

/** Returns when its present phase must end, or undefined without a limit or after the end was decided. */
function findLimit(
  { uid, phase, queuedAt, run, times, end }: Environment,
  { maxQueueHours, preparingMinutes }: { readonly maxQueueHours: number; readonly preparingMinutes: number },
  pool: PoolView | undefined,
): number | undefined {
  if (end.outcome) return undefined;
  if (phase === "queued") return pool?.head?.uid === uid ? undefined : queuedAt + maxQueueHours * HOUR;
  if (phase === "preparing") return (run.preparingAt ?? queuedAt) + preparingMinutes * MINUTE;
  return phase === "active" ? (times.endsAt ?? undefined) : undefined;
}
