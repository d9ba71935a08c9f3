import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import type { Item } from "#core/ports/table.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import type { WorkerContext } from "#core/reconciler/step.ts";
import { sweep, sweepDeliveries, sweepDisks } from "#core/reconciler/sweep.ts";
import { keyOfText, kindOfKey, poolKey } from "#core/store/keys.ts";
import { type DelivererContext, deliver } from "#core/webhooks/deliver.ts";
import { seededRandom } from "../fixtures/random.ts";
import { plainBody } from "../worlds/memory-world.ts";
import { type ClientAction, clientActions } from "./clients/clients.ts";
import { besideShortage, crowd } from "./clients/crowd-clients.ts";
import { isHopeless } from "./clients/fake-receivers.ts";
import { endsSeen } from "./invariants/ends-seen.ts";
import { finalViolations } from "./invariants/final.ts";
import { firstInLine } from "./invariants/first-in-line.ts";
import { taskRules } from "./invariants/task-rules.ts";
import { calm, type FaultRates, type Host, type Scheduler, scheduler, silent } from "./scheduler.ts";
import { blockActions } from "./weather/block.ts";
import { autoscale } from "./weather/node-group.ts";
import { listChangedNodes, nextListingAt, nodeActions } from "./weather/node-watch.ts";
import { passOnSignals } from "./weather/signals.ts";
import { weatherActions } from "./weather/weather.ts";
import { newWorld, type SimulatedWorld } from "./world.ts";

export interface Report {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly calls: number;
  readonly environments: number;
  /** In virtual ms. */
  readonly lasted: number;
  /** Number of client actions. */
  readonly drawn: number;
  /** Interesting states that the schedule reached. */
  readonly reached: readonly string[];
}

/** Parts that a schedule leaves out, to shrink a failing one. */
export interface Omitted {
  /** Indexes in the seed's list of actions. */
  readonly actions: readonly number[];
  readonly faults: readonly (keyof FaultRates)[];
}

export interface ScheduleOptions {
  /** Receives each call and fault. */
  readonly trace?: (line: string) => void;
  /** Receives who did what, when, and how it ended. */
  readonly story?: (line: string) => void;
  readonly without?: Omitted;
  /** Replaces the limit of calls. */
  readonly mostCalls?: number;
  /** Loses all messages of handlers and workers. Only those of the sweep arrive. */
  readonly onlySweeps?: boolean;
}

const START = Date.UTC(2026, 0, 20, 18);
const MINUTE = 60_000;
/** The longest honest schedule known (seed 3698, whose zones have no machines for an hour) needs 6,153 calls. */
const shortLimits = { calls: 9_000, ms: 3 * 60 * MINUTE };
/** For worlds whose zones have no machines for hours. */
const longLimits = { calls: 30_000, ms: 10 * 60 * MINUTE };
/** Disks with backups are due daily for their tags, which is no unfinished work. */
const SOON_MS = 20 * MINUTE;

/** Runs one seeded schedule until faults have ended and nothing is due, and returns its violations. */
export async function simulate(seed: number, options: ScheduleOptions = {}): Promise<Report> {
  const random = seededRandom(seed);
  const sim = tracedScheduler(random, options);
  const world = newWorld(sim, seed);
  const limits = isScarce(world) ? longLimits : shortLimits;
  const { mostCalls = limits.calls } = options;
  const rates = without(getRates(sim, options), options.without?.faults ?? []);
  sim.setRates(rates);
  const faultsUntil = START + ((world.isLong ? 16 : 2) + random() * 6) * MINUTE;
  const weather = rates === calm || options.onlySweeps || world.isLong ? [] : weatherActions(sim, world, faultsUntil);
  const cluster = [...blockActions(sim, world), ...nodeActions(sim, world)];
  const drawn = [...clientActions(sim, world), ...cluster, ...crowdOf(sim, world), ...weather].sort(
    (a, b) => a.at - b.at,
  );
  const clients = drawn.filter(({ isNeeded }, place) => isNeeded || !options.without?.actions.includes(place));

  const checkEnds = endsSeen(sim, world);
  const checkFirst = firstInLine(sim, world);
  while (sim.calls() < mostCalls && sim.time() - START < limits.ms && world.watch.violations.length === 0) {
    if (sim.time() >= faultsUntil && sim.rates() !== calm) sim.setRates(options.onlySweeps ? rates : calm);
    const isLater = () => !options.onlySweeps && isSettled(sim, faultsUntil, clients[0]) && !namesWhoGaveBack(world);
    runSchedules(sim, world, rates, isLater);
    while (clients[0] && clients[0].at <= sim.time()) clients.shift()?.run();
    autoscale(sim, world);
    passOnSignals(sim, world);
    listChangedNodes(sim, world);
    checkEnds();
    checkFirst();
    const messages = receivable(sim, world);
    const ready = sim.ready();
    if (messages && random() * (ready + 1) < 1) {
      messages();
      continue;
    }
    if (ready > 0) {
      await sim.step();
      continue;
    }
    if (sim.time() >= faultsUntil && (await goesOn(sim))) continue;
    if (clients.length === 0 && sim.time() >= faultsUntil && isQuiet(sim, world)) break;
    const next = Math.max(nextMoment(sim, world, clients[0]?.at, faultsUntil), sim.time() + 1);
    sim.advanceTo(next, !world.hosts.some(hasRoom));
  }
  const violations = [...world.watch.violations];
  const runs = await world.compute.listRuns();
  // A schedule that was cut short has unfinished work, which shows nothing.
  if (violations.length === 0 && sim.calls() >= mostCalls) violations.push(`not over after ${mostCalls} calls`);
  if (violations.length === 0) violations.push(...finalViolations(world, sim, rates === calm, runs));
  for (const violation of violations) sim.tell("VIOLATED", violation);
  const environments = world.watch.environments().size;
  const lasted = Math.round(sim.time() - START);
  const reached = world.watch.reached.all();
  return { seed, violations, calls: sim.calls(), environments, lasted, drawn: drawn.length, reached };
}

function tracedScheduler(random: () => number, { trace, story }: ScheduleOptions): Scheduler {
  const at = () => ((sim.time() - START) / 1000).toFixed(3);
  const sim: Scheduler = scheduler(random, START, {
    note: trace ? (line) => trace(`${at()} ${line}`) : silent,
    tell: story
      ? (who, subject) => story(`${at().padStart(9)} s  ${named(who).padEnd(14)}  ${named(subject)}`)
      : silent,
  });
  return sim;
}

/** Replaces the uids of users by their names. A uid has the name's letters in hex (memory-world.ts). */
export function named(text: string): string {
  return text.replace(/(?:owner#)?\b((?:6[1-9a-f]|7[0-9a])+)(?:00)+\b/g, (_, hex) =>
    Buffer.from(hex, "hex").toString(),
  );
}

function without(rates: FaultRates, faults: readonly (keyof FaultRates)[]): FaultRates {
  return faults.length === 0 ? rates : { ...rates, ...Object.fromEntries(faults.map((fault) => [fault, 0])) };
}

/** Reports whether started work makes a call. It may need several awaits to reach its first call. */
export async function goesOn(sim: Scheduler): Promise<boolean> {
  await sim.settled();
  return sim.ready() > 0;
}

function getRates(sim: Scheduler, { onlySweeps }: ScheduleOptions): FaultRates {
  if (onlySweeps) return { ...calm, dropSend: 1, loseSignal: 1 };
  const kind = sim.random();
  if (kind < 0.12) return calm;
  if (kind < 0.28) return { ...calm, freeze: 0.01, sleepBeforeMaking: 0.2, doubleSend: 0.4 };
  const rate = (most: number) => (sim.random() < 0.4 ? 0 : sim.random() * most);
  return {
    crash: rate(0.02),
    freeze: rate(0.04),
    sleepBeforeMaking: rate(0.1),
    late: rate(0.1),
    errorBefore: rate(0.04),
    errorAfter: rate(0.04),
    dropSend: rate(0.3),
    doubleSend: rate(0.3),
    ownRepeated: rate(0.04),
    blind: rate(0.03),
    throttle: rate(0.03),
    loseSignal: rate(0.5),
    doubleSignal: rate(0.3),
    delaySignal: rate(0.3),
  };
}

/** Sweeps are late and skip runs. This limit holds once faults and requests have ended. */
const LATER_SWEEPS_MS = 3 * MINUTE;
/** A known pool of constant machines needs no further refresh. */
const CAPACITY_AGAIN = 0.15;

function isSettled(sim: Scheduler, faultsUntil: number, next: ClientAction | undefined): boolean {
  return sim.time() >= faultsUntil && (next?.at ?? Number.POSITIVE_INFINITY) > sim.time() + LATER_SWEEPS_MS;
}

/**
 * Reports whether a ledger names an environment that returned its capacity. Both messages about it may be lost, so this
 * needs a sweep each minute.
 */
function namesWhoGaveBack(world: SimulatedWorld): boolean {
  const environments = world.watch.environments();
  const gaveBack = ({ uid, run }: { readonly uid: string; readonly run: number }) => {
    const now = environments.get(uid)?.run;
    return now === undefined || now.n !== run || now.grant === null;
  };
  return [...world.watch.pools().values()].some(({ held }) => held.some(gaveBack));
}

function runSchedules(sim: Scheduler, world: SimulatedWorld, rates: FaultRates, isLater: () => boolean): void {
  if (sim.time() < world.nextSweep) return;
  world.nextSweep += isLater() ? LATER_SWEEPS_MS : MINUTE;
  const faulty = rates !== calm && sim.rates() !== calm;
  if (faulty && sim.random() < 0.2) return;
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  const arriving = { ...ctx, queue: rates.dropSend === 1 ? world.queue : ctx.queue };
  const swept = world.sweeps.portsOf(arriving);
  sim.start(
    host,
    "sweep",
    () => Promise.all([sweep(swept), sweepDisks(swept), sweepDeliveries(swept)]).then(silent),
    silent,
  );
  const hasMachines = [...world.watch.pools().values()].some(({ nodes }) => nodes.length > 0);
  const knowsMachines = hasMachines && !world.machines.areChanging;
  if (knowsMachines && sim.random() >= CAPACITY_AGAIN) return;
  const isSure = () => world.versions.kinds.size === 0;
  const refresh = () => world.watch.blockEnds.refreshing(host, () => refreshCapacity(ctx).then(silent), isSure);
  sim.start(host, "capacity", () => world.watch.listings.refreshing(host, refresh), silent);
}

const TASKS_PER_HOST = 2;
/** After this many receives, a message goes to the dead-letter queue, and only the sweep continues. */
const MOST_RECEIVES = 5;
export const queueNames = ["work", "pools", "webhooks"] as const;

export function hasRoom(host: Host): boolean {
  return host.tasks < TASKS_PER_HOST;
}

/** Passes a visible message to a host with room. Returns undefined if there is no message or no room. */
export function receivable(sim: Scheduler, world: SimulatedWorld): (() => void) | undefined {
  if (!world.hosts.some(hasRoom)) return undefined;
  const names = queueNames.filter((name) => (world.queue.nextAt(name) ?? Number.POSITIVE_INFINITY) <= sim.time());
  if (names.length === 0) return undefined;
  return () => {
    const free = world.hosts.filter(hasRoom);
    const host = sim.pick(free);
    const name = sim.pick(names);
    const ctx = world.contexts.get(host);
    const messages = world.queue.receive(name, name === "pools" ? 10 : 1);
    for (const { id, look: message } of messages.filter(({ receives }) => receives > MOST_RECEIVES)) {
      sim.tell("queue", `gives up a look at ${message.look}`);
      world.queue.acknowledge(name, id);
      world.watch.reached.note("message given up after its last receive");
    }
    if (!ctx || messages.length === 0) return;
    const requests = messages.map((message) => message.look);
    let left: readonly ReconcileRequest[] = [];
    const plan = () =>
      planPools(ctx, requests).then((answered) => {
        left = answered;
      });
    const work = () => (name === "pools" ? plan() : reconcileBatch(world, ctx, requests));
    sim.start(host, `look at ${requests.map((message) => message.look).join(", ")}`, work, (failed) => {
      for (const message of messages) {
        if (!failed && !left.includes(message.look)) world.queue.acknowledge(name, message.id);
      }
    });
  };
}

async function reconcileBatch(
  world: SimulatedWorld,
  host: WorkerContext & DelivererContext,
  messages: readonly ReconcileRequest[],
): Promise<void> {
  const rules = taskRules(host, messages[0] ?? { look: "" });
  const ctx = { ...host, ...rules.ports };
  for (const look of messages) {
    if (kindOfKey(keyOfText(look.look) ?? poolKey("")) === "delivery") await deliver(ctx, look, plainBody);
    else await reconcile(ctx, look);
  }
  world.watch.violations.push(...rules.broken());
}

function lacksForHours({ group }: SimulatedWorld): boolean {
  return group?.saysLacks === true || group?.reportsLacks === true;
}

/** Keeps the machines busy while zones have none for hours, or until a Capacity Block starts. */
function crowdOf(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  return isScarce(world) ? crowd(sim, world, besideShortage) : [];
}

function isScarce(world: SimulatedWorld): boolean {
  return lacksForHours(world) || world.group?.listed?.some(({ startsAt }) => startsAt !== undefined) === true;
}

/** Kinds of records that the watch does not follow. */
const reconciledKinds = ["user", "inbox", "delivery"];

function isQuiet(sim: Scheduler, world: SimulatedWorld): boolean {
  if (sim.nextAt() !== undefined) return false;
  const environments = [...world.watch.environments().values()];
  const disks = [...world.watch.disks().values()];
  const soon = sim.time() + SOON_MS;
  if (environments.some(({ dueAt }) => dueAt !== undefined)) return false;
  // A sleeping planner may grant to an ended environment. The next plan drops that.
  if ([...world.watch.pools().values()].some(({ granted, held }) => granted.length + held.length > 0)) return false;
  if (disks.some(({ dueAt }) => (dueAt ?? soon) < soon)) return false;
  const isDue = (item: Item) =>
    reconciledKinds.includes(String(item.kind)) && !isHopeless(item) && Number(item.dueAt ?? soon) < soon;
  return !world.table.all().some(isDue);
}

function nextMoment(sim: Scheduler, world: SimulatedWorld, client: number | undefined, faultsUntil: number): number {
  // Messages cannot be received while calls that sleep occupy every host.
  const messages = world.hosts.some(hasRoom) ? queueNames.map(world.queue.nextAt) : [];
  const moments = [
    sim.nextAt(),
    ...messages,
    client,
    world.nextSweep,
    world.compute.nextChangeAt(),
    nextListingAt(world),
  ];
  if (sim.time() < faultsUntil) moments.push(faultsUntil);
  return Math.min(...moments.filter((moment) => moment !== undefined));
}
