import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { sweep, sweepDeliveries, sweepDisks } from "#core/reconciler/sweep.ts";
import { seededRandom } from "../../fixtures/random.ts";
import { newNodes } from "../../worlds/memory-world.ts";
import { type Agenda, newAgenda } from "../agenda.ts";
import { withoutStacks } from "../campaign.ts";
import { finalViolations } from "../invariants/final.ts";
import { goesOn, hasRoom, named, queueNames, receivable } from "../schedule.ts";
import { type Scheduler, scheduler, silent } from "../scheduler.ts";
import type { Surroundings } from "../surroundings.ts";
import { passOnSignals } from "../weather/signals.ts";
import { createWorld, type SimulatedWorld } from "../world.ts";
import type { Figures } from "./population-figures.ts";
import { type Hours, newHours } from "./population-hours.ts";
import { chooseFate, newPeople, type People } from "./population-people.ts";
import { type PopulationWatch, populationWatch } from "./population-watch.ts";

export interface PopulationOptions {
  readonly people: number;
  readonly days: number;
  /** Ends with the first violation. */
  readonly stopAtFirst?: boolean;
  /** Receives the last lines of the story before the first violation. */
  readonly story?: (line: string) => void;
}

export interface PopulationReport {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly calls: number;
  readonly figures: Figures;
  /** Descriptions of the bad hours. */
  readonly bad: readonly string[];
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A Monday. */
const START = Date.UTC(2026, 0, 19);
/** Calls run one after another. A week of them takes a few hours of it. */
const LATENCY_MS = 2;
/** Time after the week for running environments, the reconciles after their end, and backups. */
const LONGEST_END_MS = 5 * HOUR;
/** Interval at which remaining work is ended. */
const HOME_MS = 10 * MINUTE;
const MOST_VIOLATIONS = 20;
const STORY_LINES = 200;
const limits = { maxQueueHours: 48, preparingMinutes: 30 };
/** Most users come back after a night, to a disk whose volume is gone by then. */
const IDLE_DAYS = 0.25;

/**
 * Simulates users on one cluster for some days, with mild faults at all times and bad hours. Applies the checks of
 * every schedule and those that need many users.
 */
export async function simulatePopulation(seed: number, options: PopulationOptions): Promise<PopulationReport> {
  const { people: count, days } = options;
  const random = seededRandom(seed);
  const story: string[] = [];
  const sim = scheduler(
    random,
    START,
    { note: silent, tell: options.story ? teller(() => sim, story) : silent },
    LATENCY_MS,
  );
  const made: { parts?: Parameters<typeof populationWatch>[2] } = {};
  const watch = populationWatch(sim, limits, () => {
    if (!made.parts) throw new Error("The population is used before it is created");
    return made.parts();
  });
  const world = createWorld(sim, seed, surroundings(sim, count, watch));
  const agenda = newAgenda();
  const hours = newHours(sim, world, agenda, days * DAY);
  const people = newPeople(sim, world, agenda, count, days * DAY);
  const violations: string[] = world.watch.violations;
  const names = new Map(people.all.map(({ uid, name }) => [uid, name]));
  const violated = (text: string) =>
    void violations.push(text.replace(/\b[0-9a-f]{32}\b/g, (uid) => names.get(uid) ?? uid));
  made.parts = () => ({ world, hours, people, violated });
  schedule(sim, world, agenda, hours);

  const end = START + days * DAY;
  const most = options.stopAtFirst || options.story ? 1 : MOST_VIOLATIONS;
  agenda.at(end, () => goHome(sim, world, agenda, { hours, people }));
  const course = { watch, end, until: end + LONGEST_END_MS, isFull: () => violations.length >= most };
  await withoutStacks(() => run(sim, world, agenda, course));

  if (violations.length < most) violations.push(...watch.final());
  if (violations.length < most)
    violations.push(...finalViolations(world, sim, false, await world.compute.listRuns()).slice(0, MOST_VIOLATIONS));
  if (violations.length > 0) for (const line of story) options.story?.(line);
  const bad = hours.bad.map(({ kind, from, until }) => {
    return `${kind} for ${Math.round((until - from) / MINUTE)} min on ${new Date(from).toISOString().slice(5, 16)}`;
  });
  return { seed, violations, calls: sim.calls(), figures: watch.figures(count, days, sim.calls()), bad };
}

/** Two kinds of GPU machines in two zones, one of eight GPUs for 25 users each, and a shared machine for 60. */
function surroundings(sim: Scheduler, people: number, watch: PopulationWatch): Surroundings {
  const gpu = Math.max(2, Math.ceil(people / 25));
  const nodes = newNodes({ h100: gpu, a100: gpu, "cpu-shared": Math.max(1, Math.ceil(people / 60)) });
  return {
    nodes: nodes.map((node, n) => ({ ...node, zone: n % 2 === 0 ? "zone-a" : "zone-b" })),
    late: 0,
    isSlow: false,
    isLong: false,
    isDeaf: false,
    archiveMs: 0,
    listedAfterMs: 0,
    apartMs: 1_000,
    hostCount: 12,
    taken: { bindMs: 1_500, imageMs: 15_000, containerMs: 1_000, probeMs: 3_000, removeMs: 1_500 },
    snapshotMs: 90_000,
    settings: { ...limits, diskRetentionDays: 30, diskVolumeIdleDays: IDLE_DAYS },
    decide: chooseFate(sim),
    watch: { isLarge: true, also: watch },
    sent: watch.sent,
  };
}

interface Course {
  readonly watch: PopulationWatch;
  readonly end: number;
  readonly until: number;
  readonly isFull: () => boolean;
}

async function run(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, course: Course): Promise<void> {
  let nextMinute = sim.time() + MINUTE;
  while (sim.time() < course.until && !course.isFull()) {
    agenda.runUntil(sim.time());
    passOnSignals(sim, world);
    if (sim.time() >= nextMinute) {
      nextMinute += MINUTE;
      await course.watch.everyMinute();
      if (sim.time() > course.end && isOver(sim, world)) return;
    }
    const messages = receivable(sim, world);
    const ready = sim.ready();
    if (messages && sim.random() * (ready + 1) < 1) messages();
    else if (ready > 0) await sim.step();
    else if (!(await goesOn(sim))) {
      const visible = world.hosts.some(hasRoom) ? queueNames.map(world.queue.nextAt) : [];
      const moments = [sim.nextAt(), ...visible, agenda.nextAt(), nextMinute, world.compute.nextChangeAt()];
      const next = moments.filter((at) => at !== undefined);
      sim.advanceTo(Math.max(Math.min(...next), sim.time() + 1), !world.hosts.some(hasRoom));
    }
  }
}

function isOver(sim: Scheduler, world: SimulatedWorld): boolean {
  const disks = [...world.watch.disks().values()];
  const isBusy = disks.some(({ dueAt }) => dueAt !== undefined && dueAt < sim.time() + HOUR);
  return world.watch.living().size === 0 && !isBusy && sim.nextAt() === undefined;
}

/** Runs sweeps and capacity checks once a minute on a random host. Bad hours skip some. */
function schedule(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, hours: Hours): void {
  agenda.at(sim.time() + MINUTE, () => schedule(sim, world, agenda, hours));
  if (hours.skipsSweeps(sim.time()) && sim.random() < 0.8) return;
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  const swept = world.sweeps.portsOf(ctx);
  sim.start(
    host,
    "sweep",
    () => Promise.all([sweep(swept), sweepDisks(swept), sweepDeliveries(swept)]).then(silent),
    silent,
  );
  sim.start(host, "capacity", () => refreshCapacity(ctx).then(silent), silent);
}

/** Ends all faults and all remaining work. */
function goHome(sim: Scheduler, world: SimulatedWorld, agenda: Agenda, parts: { hours: Hours; people: People }): void {
  parts.hours.end();
  parts.people.goHome();
  if (world.watch.living().size > 0) agenda.at(sim.time() + HOME_MS, () => goHome(sim, world, agenda, parts));
}

function teller(sim: () => Scheduler, lines: string[]): Scheduler["tell"] {
  return (who, subject) => {
    const at = new Date(sim().time()).toISOString().slice(5, 23);
    lines.push(`${at}  ${named(who).padEnd(14)}  ${named(subject)}`);
    if (lines.length > STORY_LINES) lines.shift();
  };
}
