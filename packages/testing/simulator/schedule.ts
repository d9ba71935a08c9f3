import type { Look, UserContext } from "#core/context.ts";
import { createEnvironment } from "#core/environments/create.ts";
import { requestCancel, requestExtension } from "#core/environments/requests.ts";
import { refreshCapacity } from "#core/pools/capacity.ts";
import { reconcilePools } from "#core/pools/planner.ts";
import { reconcile } from "#core/reconcile.ts";
import { sweep } from "#core/sweep.ts";
import type { WorkerContext } from "#core/worker.ts";
import { seededIds } from "../ids.ts";
import { silentLog } from "../log.ts";
import { memoryCompute } from "../memory-compute.ts";
import { memoryQueue } from "../memory-queue.ts";
import type { Outcome } from "../memory-run.ts";
import { memorySealer } from "../memory-sealer.ts";
import { memoryTable } from "../memory-table.ts";
import { actorOf, newEnvironment, nodesOf } from "../memory-world.ts";
import { seededRandom } from "../random.ts";
import { testSettings } from "../settings.ts";
import { faultyPorts } from "./faulty-ports.ts";
import { type Answered, finalViolations } from "./final.ts";
import { watch } from "./invariants.ts";
import { calm, type FaultRates, type Host, type Scheduler, scheduler } from "./scheduler.ts";
import { taskRules } from "./task-rules.ts";

export interface Report {
  readonly seed: number;
  readonly violations: readonly string[];
  readonly calls: number;
  readonly environments: number;
  /** Virtual milliseconds. */
  readonly lasted: number;
}

export interface ScheduleOptions {
  /** Told every call and fault: the replay of a seed. */
  readonly trace?: (line: string) => void;
  /** Handlers and workers lose every message they send; only the sweep's arrive. */
  readonly onlySweeps?: boolean;
}

const START = Date.UTC(2026, 0, 20, 18);
const MINUTE = 60_000;
/** Hosts' clocks differ by less than what counts as a little early (packages/core/reconcile.ts). */
const MOST_APART_MS = 1_800;
const MOST_CALLS = 4_000;
const SLEPT_MS = 30_000;
const LONGEST_MS = 3 * 60 * MINUTE;
const OWNERS = ["alice", "bob", "carol"];

/** Runs the core through one seeded schedule of faults until they stop and nothing is due, and checks everything. */
export async function simulate(seed: number, options: ScheduleOptions = {}): Promise<Report> {
  const random = seededRandom(seed);
  const trace = options.trace;
  let at = () => START;
  const sim = scheduler(
    random,
    START,
    trace ? (line) => trace(`${((at() - START) / 1000).toFixed(3)} ${line}`) : silent,
  );
  at = sim.time;
  const world = newWorld(sim, seed);
  const rates = ratesOf(sim, options);
  sim.setRates(rates);
  const faultsUntil = START + (2 + random() * 6) * MINUTE;
  const clients = clientActions(sim, world);

  while (sim.calls() < MOST_CALLS && sim.time() - START < LONGEST_MS && world.watch.violations.length === 0) {
    if (sim.time() >= faultsUntil && sim.rates() !== calm) sim.setRates(options.onlySweeps ? rates : calm);
    runSchedules(sim, world, rates);
    while (clients[0] && clients[0].at <= sim.time()) clients.shift()?.run();
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
    if (clients.length === 0 && sim.time() >= faultsUntil && isQuiet(sim, world)) break;
    sim.advanceTo(Math.max(nextMoment(sim, world, clients[0]?.at, faultsUntil), sim.time() + 1));
  }
  const violations = [...world.watch.violations];
  if (violations.length === 0) violations.push(...finalViolations(world, sim, rates === calm));
  const environments = world.watch.environments().size;
  return { seed, violations, calls: sim.calls(), environments, lasted: Math.round(sim.time() - START) };
}

function silent(): void {}

export type SimulatedWorld = ReturnType<typeof newWorld>;

function newWorld(sim: Scheduler, seed: number) {
  const clock = { now: () => Math.round(sim.time()), monotonic: () => Math.round(sim.time()) };
  const table = memoryTable({
    clock,
    random: sim.random,
    indexLatenessMs: sim.random() < 0.5 ? 90_000 * sim.random() : 0,
  });
  const queue = memoryQueue({ clock, visibilitySeconds: 60 });
  const delays = { bindMs: 2000, imageMs: 3000, probeMs: 1000, removeMs: 1500 };
  const compute = memoryCompute({ clock, nodes: nodesOf({ h100: 2 }), ...(sim.random() < 0.7 ? delays : {}) });
  const watched = watch(table, compute, sim.time, (environment) => {
    const { outcome, ignoresTerm } = fateOf(sim);
    compute.program(environment.uid, outcome, { ignoresTerm });
  });
  const settings = testSettings({ preparingMinutes: 3 });
  const ids = seededIds(seed, clock);
  const sealer = memorySealer();
  const hosts = [1, 2, 3, 4].map((n) => sim.newHost(`host-${n}`, (sim.random() - 0.5) * MOST_APART_MS));
  const contexts = new Map<Host, WorkerContext>(
    hosts.map((host) => {
      const ports = faultyPorts(sim, host, { table: watched.table, queue, compute: watched.compute });
      return [host, { ...ports, sealer, clock: host.clock, ids, log: silentLog(), settings }];
    }),
  );
  const answered: Answered = { submits: [], cancels: [], extensions: new Map() };
  return { watch: watched, table, queue, compute, hosts, contexts, answered, nextSweep: START, onlySweeps: false };
}

function ratesOf(sim: Scheduler, { onlySweeps }: ScheduleOptions): FaultRates {
  if (onlySweeps) return { ...calm, dropSend: 1 };
  if (sim.random() < 0.15) return calm;
  const rate = (most: number) => (sim.random() < 0.4 ? 0 : sim.random() * most);
  return {
    crash: rate(0.02),
    freeze: rate(0.04),
    late: rate(0.1),
    errorBefore: rate(0.04),
    errorAfter: rate(0.04),
    dropSend: rate(0.3),
    doubleSend: rate(0.3),
  };
}

/** What becomes of an environment's run, and whether its command ignores SIGTERM. */
function fateOf(sim: Scheduler): { outcome: Outcome; ignoresTerm: boolean } {
  const ignoresTerm = sim.random() < 0.2;
  const afterMs = sim.random() * 3 * MINUTE;
  const fates: Outcome[] = [
    { kind: "lives" },
    { kind: "lives" },
    { kind: "lives" },
    { kind: "exits", code: 0, afterMs },
    { kind: "exits", code: 2, afterMs },
    { kind: "killed", signal: "SIGKILL", afterMs },
    { kind: "imageFails", reason: "Image not found" },
    { kind: "neverBinds", reason: "0/2 nodes are available" },
  ];
  return { outcome: sim.pick(fates), ignoresTerm };
}

function runSchedules(sim: Scheduler, world: SimulatedWorld, rates: FaultRates): void {
  if (sim.time() < world.nextSweep) return;
  world.nextSweep += MINUTE;
  const faulty = rates !== calm && sim.rates() !== calm;
  if (faulty && sim.random() < 0.2) return;
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  const arriving = { ...ctx, queue: rates.dropSend === 1 ? world.queue : ctx.queue };
  sim.start(host, "sweep", async () => void (await sweep(arriving)), silent);
  sim.start(host, "capacity", () => refreshCapacity(ctx), silent);
}

interface ClientAction {
  readonly at: number;
  run(): void;
}

/** What the users do: up to 6 environments of 3 owners, whose ids are equal across owners, extended and cancelled. */
function clientActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const actions: ClientAction[] = [];
  const count = 1 + Math.floor(sim.random() * 6);
  for (let n = 0; n < count; n++) {
    const owner = OWNERS[n % OWNERS.length] as string;
    const id = `job-${Math.floor(n / OWNERS.length) + 1}`;
    const at = START + sim.random() * 2 * MINUTE;
    const gpus = sim.pick([1, 2, 4, 8, 8, 16]);
    const hours = Math.ceil((1 + sim.random() * 4) * 60) / 3600;
    actions.push({ at, run: () => submit(sim, world, owner, newEnvironment(id, { gpus, hours })) });
    if (sim.random() < 0.5) {
      const later = at + sim.random() * sim.random() * 4 * MINUTE;
      actions.push({ at: later, run: () => cancel(sim, world, owner, id) });
    }
    if (sim.random() < 0.1) {
      const later = at + sim.random() * 3 * MINUTE;
      actions.push({ at: later, run: () => vanish(sim, world, owner, id) });
    }
    if (sim.random() < 0.4) {
      const later = at + sim.random() * 4 * MINUTE;
      actions.push({ at: later, run: () => extend(sim, world, owner, id, Math.round(MINUTE * (1 + sim.random()))) });
    }
  }
  return actions.sort((a, b) => a.at - b.at);
}

function submit(sim: Scheduler, world: SimulatedWorld, owner: string, input: ReturnType<typeof newEnvironment>): void {
  asUser(sim, world, owner, `submit ${input.id}`, async (ctx) => {
    const environment = await createEnvironment(ctx, input);
    world.answered.submits.push(environment.uid);
  });
}

function cancel(sim: Scheduler, world: SimulatedWorld, owner: string, id: string): void {
  asUser(sim, world, owner, `cancel ${id}`, async (ctx) => {
    await requestCancel(ctx, id);
    const uid = uidOf(world, owner, id);
    if (uid) world.answered.cancels.push({ uid, at: sim.time() });
  });
}

function extend(sim: Scheduler, world: SimulatedWorld, owner: string, id: string, extraMs: number): void {
  asUser(sim, world, owner, `extend ${id}`, async (ctx) => {
    await requestExtension(ctx, id, extraMs);
    const uid = uidOf(world, owner, id) ?? "";
    world.answered.extensions.set(uid, (world.answered.extensions.get(uid) ?? 0) + extraMs);
  });
}

/**
 * Somebody with access to the cluster deletes a run behind Berth's back. Berth knows already that it was made, and no
 * worker that slept within its budget can make it again: against that there is no rule.
 */
function vanish(sim: Scheduler, world: SimulatedWorld, owner: string, id: string): void {
  const environment = world.watch.environments().get(uidOf(world, owner, id) ?? "");
  if (!environment?.appliedAt || environment.withdrawing || sim.time() - environment.appliedAt < SLEPT_MS) return;
  void world.compute.remove(environment.uid, environment.run, { graceSeconds: 0, force: true });
}

function uidOf(world: SimulatedWorld, owner: string, id: string): string | undefined {
  const all = [...world.watch.environments().values()];
  return all.find((one) => one.owner === actorOf(owner).uid && one.id === id)?.uid;
}

type Asked = UserContext<"table" | "queue" | "sealer">;

function asUser(
  sim: Scheduler,
  world: SimulatedWorld,
  owner: string,
  label: string,
  request: (ctx: Asked) => Promise<void>,
): void {
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  sim.start(
    host,
    `${owner}: ${label}`,
    () => request({ ...ctx, actor: actorOf(owner), dialect: "gpu-dev", noun: "job" }),
    silent,
  );
}

const TASKS_PER_HOST = 2;

/** Hands a message that is visible to a host that has room; undefined when there is none of either. */
function receivable(sim: Scheduler, world: SimulatedWorld): (() => void) | undefined {
  const free = world.hosts.filter((host) => host.tasks < TASKS_PER_HOST);
  const names = (["work", "pools"] as const).filter(
    (name) => (world.queue.nextAt(name) ?? Number.POSITIVE_INFINITY) <= sim.time(),
  );
  if (free.length === 0 || names.length === 0) return undefined;
  return () => {
    const host = sim.pick(free);
    const name = sim.pick(names);
    const ctx = world.contexts.get(host);
    const messages = world.queue.receive(name, name === "pools" ? 10 : 1);
    if (!ctx || messages.length === 0) return;
    const looks = messages.map((message) => message.look);
    const rules = taskRules(ctx, looks[0] ?? { look: "" });
    const work = () =>
      name === "pools" ? reconcilePools(ctx, looks) : look(world, { ...ctx, ...rules.ports }, rules, looks);
    sim.start(host, `look at ${looks.map((look) => look.look).join(", ")}`, work, (failed) => {
      for (const message of messages) {
        if (!failed) world.queue.acknowledge(name, message.id);
      }
    });
  };
}

async function look(
  world: SimulatedWorld,
  ctx: WorkerContext,
  rules: ReturnType<typeof taskRules>,
  looks: readonly Look[],
): Promise<void> {
  for (const one of looks) await reconcile(ctx, one);
  world.watch.violations.push(...rules.broken());
}

function isQuiet(sim: Scheduler, world: SimulatedWorld): boolean {
  if (sim.nextAt() !== undefined) return false;
  return [...world.watch.environments().values()].every((environment) => environment.dueAt === undefined);
}

function nextMoment(sim: Scheduler, world: SimulatedWorld, client: number | undefined, faultsUntil: number): number {
  const moments = [sim.nextAt(), world.queue.nextAt("work"), world.queue.nextAt("pools"), client, world.nextSweep];
  if (sim.time() < faultsUntil) moments.push(faultsUntil);
  return Math.min(...moments.filter((moment) => moment !== undefined));
}
