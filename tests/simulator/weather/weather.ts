import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { Run } from "#core/ports/compute.ts";
import type { Item, Key, Stored } from "#core/ports/table.ts";
import type { ClientAction } from "../clients/clients.ts";
import { compareNow, endByForce } from "../clients/operator-clients.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { machineWeather } from "./machine-weather.ts";
import { versionWeather } from "./version-weather.ts";
import { refusedSnapshots, volumeWeather } from "./volume-weather.ts";

/** Services that may be unavailable as a whole. */
const parts = ["table", "queue", "cluster", "volumes", "blobs", "sealer", "githubKeys"] as const;
export type Part = (typeof parts)[number];

/** End of each service's outage, in virtual ms. */
export type Away = Map<Part, number>;

const MINUTE = 60_000;
const LONGEST_OUTAGE_MS = 3 * MINUTE;
/** Longer than a run may take to become ready (world.ts). */
const LONG_OUTAGE_MS = 5 * MINUTE;
const MOST_STEP_MS = 15_000;
/** Limit of writers in an item (packages/core/store/write-record.ts). */
const KEPT_WRITERS = 8;

/** Faults of the world, beyond single calls. All end with the other faults. */
export function weatherActions(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const some = (chance: number, make: () => ClientAction[]) => (sim.random() < chance ? make() : []);
  return [
    ...some(0.12, () => outage(sim, world, until)),
    ...some(0.2, () => machineWeather(sim, world, until)),
    ...some(0.05, () => joins(sim, world, until)),
    ...some(0.06, () => clockSteps(sim, world, until)),
    ...some(0.08, () => damage(sim, world, until)),
    ...some(0.05, () => poison(sim, world, until)),
    ...some(0.1, () => volumeWeather(sim, world, until)),
    ...some(0.08, () => leftovers(sim, world)),
    ...some(0.08, () => versionWeather(sim, world, until)),
    ...some(0.05, () => refusedSnapshots(sim, world, until)),
    ...(world.outage ? longOutage(sim, world, world.outage, until) : []),
  ];
}

/** Wraps a port so that its calls fail without effect during an outage. */
export function whileThere<Port extends object>(port: Port, part: Part, away: Away, now: () => number): Port {
  const refusing = Object.entries(port).map(([name, work]) => {
    if (typeof work !== "function") return [name, work];
    if (work.length > 4) throw new Error(`${name} of the ${part} takes more than four arguments`);
    return [
      name,
      // Named arguments avoid an array for each call.
      async (entry: unknown, two: unknown, three: unknown, four: unknown) => {
        if ((away.get(part) ?? 0) > now()) throw new Error(`injected: the ${part} is away`);
        return work(entry, two, three, four);
      },
    ];
  });
  return Object.fromEntries(refusing) as Port;
}

function outage(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const part = sim.pick(parts);
  const at = between(sim, sim.time(), until);
  const end = Math.min(until, at + sim.random() * LONGEST_OUTAGE_MS);
  const begin = () => {
    world.away.set(part, end);
    world.watch.reached.note(`${part} away`);
    sim.tell("weather", `the ${part} is away for ${Math.round(end - sim.time())} ms`);
  };
  return [{ at, run: begin }];
}

/** Starts when the cluster accepts the first run, so the run becomes ready unseen. */
function longOutage(sim: Scheduler, world: SimulatedWorld, part: Part, until: number): ClientAction[] {
  let isBegun = false;
  world.watch.whenWritten((_, { id, phase, run }) => {
    if (isBegun || phase !== "preparing" || run.appliedAt === null) return;
    isBegun = true;
    const end = Math.min(until, sim.time() + LONG_OUTAGE_MS);
    world.away.set(part, end);
    world.watch.reached.note(`${part} away`);
    sim.tell("weather", `the ${part} is away for ${Math.round(end - sim.time())} ms, as ${id} gets ready`);
  });
  return [];
}

/**
 * Applies a run so late that neither the rules about sleeping workers nor a tombstone prevent it. It appears after its
 * end or beside the next run. It has no machine, because other runs could not be kept off its units.
 */
function leftovers(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  world.watch.whenWritten((before, next) => {
    const isEnd = before !== undefined && !isEnded(before) && isEnded(next);
    const isStart = before?.phase === "stopped" && next.phase === "queued";
    if (!(isEnd || isStart) || before.run.applyingAt === null || sim.random() < 0.5) return;
    const { owner, id, run } = before;
    sim.tell("cluster", `makes run ${run.n} of ${owner}/${id} again`);
    world.leftovers.add(`${before.uid}-r${run.n}`);
    world.compute.loseTombstone(before.uid, run.n);
    void world.compute.apply(runWithoutShare(before));
    if (sim.random() < 0.5) compareNow(sim, world);
  });
  return [];
}

function runWithoutShare({ uid, run, name, size, ports }: Environment): Run {
  return {
    uid,
    run: run.n,
    name,
    key: "",
    pool: size.pool,
    instanceType: size.instanceType,
    image: "",
    env: {},
    command: undefined,
    shares: [],
    gpusPerMachine: 0,
    mounts: [],
    ports,
    resources: null,
    until: Number.MAX_SAFE_INTEGER,
  };
}

function joins(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const join = () => {
    sim.tell("weather", "h100-3 joins");
    world.compute.setNode({
      ...world.firstNode,
      name: "h100-3",
      uid: "node-uid-h100-3",
      providerId: "aws:///zone-a/i-3",
    });
    world.watch.reached.note("node joined");
  };
  return [{ at: between(sim, sim.time(), until), run: join }];
}

/** Changes a host's wall clock and later corrects it. Its monotonic clock stays. */
function clockSteps(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const host = sim.pick(world.hosts);
  const at = between(sim, sim.time(), until);
  const offsetMs = host.offsetMs;
  const step = (sim.random() - 0.5) * 2 * MOST_STEP_MS;
  const set = (to: number) => () => {
    host.offsetMs = to;
    sim.tell("weather", `the clock of ${host.name} is ${Math.round(to)} ms ahead`);
    world.watch.reached.note("wall clock stepped");
  };
  return [
    { at, run: set(offsetMs + step) },
    { at: between(sim, at, until), run: set(offsetMs), isNeeded: true },
    { at: until, run: set(offsetMs), isNeeded: true },
  ];
}

/** Faults end after 8 minutes (schedule.ts). A frozen host returns up to 12 minutes later. */
const ENDED_MS = [9 * MINUTE, 10 * MINUTE, 21 * MINUTE];

/** Makes a record unreadable by a manual edit. Later it is repaired, or the operator ends it by force. */
function damage(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const start = sim.time();
  const at = between(sim, start, until);
  let sound: Item | undefined;
  const isForced = sim.random() < 0.5;
  const edit = () => {
    const living = [...world.watch.environments().values()].filter(({ dueAt }) => dueAt !== undefined);
    if (living.length === 0) return;
    sound = sim.pick(living) as Stored as Item;
    sim.tell("weather", `${sound.id} is edited by hand and cannot be read`);
    void world.table.put({ ...sound, ...sim.pick(edits), phase: UNKNOWN_PHASE } as Item);
    world.watch.damaged(String(sound.uid));
    if (!isForced) world.watch.reached.note("unreadable record mended");
  };
  // Repeats the forced end until it succeeds. A concurrent write may have repaired the record.
  if (isForced) {
    const times = [between(sim, at, until), until, ...ENDED_MS.map((later) => start + later)];
    const force = () => sound && endByForce(sim, world, sound);
    return [{ at, run: edit }, ...times.map((when) => ({ at: when, run: force, isNeeded: true }))];
  }
  const mend = () => sound && mended(sim, world, sound);
  return [
    { at, run: edit },
    ...[between(sim, at, until), until].map((when) => ({ at: when, run: () => void mend(), isNeeded: true })),
  ];
}

/** Further fields that the edit damages. */
const edits: readonly object[] = [{}, {}, { run: "?" }, { size: null }, { disk: "?" }, { times: undefined }];

/** A phase that no version writes. */
export const UNKNOWN_PHASE = "edited";

/** Restores the record, due now. A concurrent write may have repaired it already. */
async function mended(sim: Scheduler, world: SimulatedWorld, sound: Item & Key): Promise<void> {
  const present = await world.table.get({ pk: sound.pk, sk: sound.sk });
  if (present?.phase !== UNKNOWN_PHASE) return;
  sim.tell("weather", `${sound.id} is mended`);
  // Adds a new writer, so a worker that read the damaged record cannot write it back.
  const writers = [`mended at ${sim.time()}`, ...(present.writers as string[])].slice(0, KEPT_WRITERS);
  const whole = { ...sound, writers, dueAt: sim.time() } as Item;
  await world.table.put(whole);
  world.watch.mended(whole);
}

/** Sends messages that are empty or name missing records. */
function poison(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const messages = ["", "nothing", "owner#|", "pool#no-such|-", "owner#00#env#gpu-dev|none", "x".repeat(500)];
  return messages.map((recordKey) => ({
    at: between(sim, sim.time(), until),
    run: () => void world.queue.send("work", { look: recordKey, ...(sim.random() < 0.3 && { for: ["", "nobody"] }) }),
  }));
}

function between(sim: Scheduler, from: number, to: number): number {
  return from + sim.random() * Math.max(0, to - from);
}
