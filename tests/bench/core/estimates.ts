import {
  addStart,
  type Calibration,
  latestStart,
  noCalibration,
  type Promised,
  widening,
} from "#core/pools/forecast/calibration.ts";
import { forecast } from "#core/pools/forecast/forecast.ts";
import { type Arrivals, addArrivals, addRun, type Durations, noDurations } from "#core/pools/forecast/workload.ts";
import { type Occupied, type PlanInput, plan, type Waiting } from "#core/pools/plan/plan.ts";
import { seededRandom } from "../../fixtures/random.ts";

const hourMs = 3_600_000;
const unitsPerNode = 8;
const sizes = [1, 2, 4, 8, 8];
const wantedHours = [1, 2, 4, 8];

export interface Workload {
  readonly owners: number;
  /** Whether jobs end before their time is over. Each owner has different habits. */
  readonly endsEarly: boolean;
  readonly seed: number;
  readonly nodes: number;
  readonly jobs: number;
  readonly hours: number;
}

export interface Estimated extends Promised {
  readonly startedAt: number;
}

interface Job extends Waiting {
  readonly tookMs: number;
}

interface Running extends Occupied {
  readonly uid: string;
  readonly leavesAt: number;
  readonly job: Job;
}

/** Runs a workload through the planner, with a forecast for each submit that has to wait. */
export function playWorkload(workload: Workload): Estimated[] {
  const coming = listJobs(workload);
  const nodes = Array.from({ length: workload.nodes }, (_, n) => ({ name: `n${n}`, zone: "a", units: unitsPerNode }));
  const promised = new Map<string, Promised>();
  const estimated: Estimated[] = [];
  let waiting: Job[] = [];
  let arrivals: Arrivals = [];
  let running: Running[] = [];
  let head: string | null = null;
  let used = new Map<string, number>();
  let [durations, calibration, now]: [Durations, Calibration, number] = [noDurations, noCalibration, 0];
  for (let n = 1; coming.length > 0 || waiting.length > 0; n++) {
    const next = Math.min(coming[0]?.queuedAt ?? Infinity, ...running.map(({ leavesAt }) => leavesAt));
    used = new Map([...used].map(([owner, hours]) => [owner, hours * 0.5 ** ((next - now) / (24 * hourMs))]));
    now = next;
    for (const { owner, at, job, shares } of running.filter(({ leavesAt }) => leavesAt <= now)) {
      durations = addRun(durations, { owner, tookMs: now - at, wantedMs: job.size.wantedMs });
      const units = shares.reduce((sum, share) => sum + share.units, 0);
      used.set(owner, (used.get(owner) ?? 0) + (units * (now - at)) / hourMs);
    }
    running = running.filter(({ leavesAt }) => leavesAt > now);
    const submitted: Job[] = [];
    while ((coming[0]?.queuedAt ?? Infinity) <= now) submitted.push(...coming.splice(0, 1));
    waiting.push(...submitted);
    const came = submitted.map(({ owner, size, zone }) => ({ at: now, owner, size, zone }));
    arrivals = addArrivals(arrivals, came);
    const pool: PlanInput = {
      nodes,
      occupied: running,
      waiting,
      makeable: [],
      unitsPerNode,
      startupMs: 0,
      head,
      used,
      now,
    };
    const planned = plan(pool);
    head = planned.head;
    for (const { uid, shares } of planned.grants) {
      const job = waiting.find((job) => job.uid === uid);
      if (!job) continue;
      const { owner, size, tookMs } = job;
      running.push({ uid, owner, shares, endsAt: now + size.wantedMs, at: now, size, leavesAt: now + tookMs, job });
      const promise = promised.get(uid);
      if (!promise) continue;
      calibration = addStart(calibration, promise, now);
      estimated.push({ ...promise, startedAt: now });
    }
    const names = new Set(planned.grants.map(({ uid }) => uid));
    waiting = waiting.filter(({ uid }) => !names.has(uid));
    if (submitted.every(({ uid }) => names.has(uid))) continue;
    const after = { ...pool, occupied: running, waiting, head };
    const found = forecast({ plan: after, durations, arrivals, seed: n, clock: performanceClock, budgetMs: 60_000 });
    const open = waiting.flatMap(({ uid }) => promised.get(uid) ?? []);
    const factor = widening(calibration, open, now);
    for (const { uid, p50, p90 } of found.waiting) {
      if (p50 === null || p90 === null || promised.has(uid)) continue;
      promised.set(uid, { at: now, p50, p90, latest: latestStart({ at: now, p90 }, factor) });
    }
  }
  return estimated;
}

const performanceClock = { monotonic: () => performance.now() };

function listJobs({ owners, endsEarly, seed, jobs, hours }: Workload): Job[] {
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  // Share of each owner's jobs that fail soon, and of jobs that use all of their time.
  const habits = Array.from({ length: owners }, () => ({ soon: 0.3 * random(), whole: 0.5 * random() }));
  const times = Array.from({ length: jobs }, () => Math.floor(random() * hours * hourMs)).sort((a, b) => a - b);
  return times.map((queuedAt, n) => {
    const index = Math.floor(random() ** 1.5 * owners);
    const wantedMs = pick(wantedHours) * hourMs;
    const { soon, whole } = habits[index] ?? { soon: 0, whole: 1 };
    const kind = random();
    const part = kind < soon ? 0.1 * random() : kind < 1 - whole ? 0.1 + 0.9 * random() : 1;
    const tookMs = Math.max(1, Math.round(wantedMs * (endsEarly ? part : 1)));
    const size = { machines: 1, units: pick(sizes), wantedMs };
    return { uid: `${n}`.padStart(32, "0"), owner: `o${index}`, zone: null, queuedAt, size, tookMs };
  });
}
