import type { Item, Key, Stored } from "#core/context.ts";
import type { ClientAction } from "./clients.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedWorld } from "./world.ts";

/** What may be away as a whole. */
const parts = ["table", "queue", "cluster", "volumes", "blobs", "sealer", "githubKeys"] as const;
export type Part = (typeof parts)[number];

/** Until when each of them answers nobody, virtual ms. */
export type Away = Map<Part, number>;

const MINUTE = 60_000;
const LONGEST_OUTAGE_MS = 3 * MINUTE;
const MOST_STEP_MS = 15_000;
/** An item names no more (packages/core/write-record.ts). */
const KEPT_WRITERS = 8;

/** What befalls the world itself, beside single calls: it is all over when the faults are. */
export function weatherActions(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const some = (chance: number, make: () => ClientAction[]) => (sim.random() < chance ? make() : []);
  return [
    ...some(0.12, () => outage(sim, world, until)),
    ...some(0.1, () => notReady(sim, world, until)),
    ...some(0.05, () => joins(sim, world, until)),
    ...some(0.06, () => clockSteps(sim, world, until)),
    ...some(0.08, () => damage(sim, world, until)),
    ...some(0.05, () => poison(sim, world, until)),
  ];
}

/** Everything that is thrown at a port that is away; nothing of it has an effect. */
export function whileThere<Port extends object>(port: Port, part: Part, away: Away, now: () => number): Port {
  const refusing = Object.entries(port).map(([name, work]) => {
    if (typeof work !== "function") return [name, work];
    return [
      name,
      async (...given: unknown[]) => {
        if ((away.get(part) ?? 0) > now()) throw new Error(`injected: the ${part} is away`);
        return work(...given);
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

/** A machine that does not answer for a while, and then does: nothing happened. */
function notReady(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const name = sim.pick(["h100-1", "h100-2"]);
  const at = between(sim, sim.time(), until);
  const lost = () => {
    sim.tell("weather", `${name} is NotReady`);
    world.compute.loseNode(name);
    world.watch.reached.note("node back after it was NotReady");
  };
  const back = () => {
    sim.tell("weather", `${name} is back`);
    world.compute.returnNode(name);
  };
  // What is made smaller may leave the loss out, and never the return.
  return [
    { at, run: lost },
    ...[between(sim, at, until), until].map((when) => ({ at: when, run: back, isNeeded: true })),
  ];
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

/** The wall clock of one host is set, and set right later; its monotonic clock is not. */
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

/** A record that somebody edited by hand so that nobody can read it, and mends again. */
function damage(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const at = between(sim, sim.time(), until);
  let sound: Item | undefined;
  const edit = () => {
    const living = [...world.watch.environments().values()].filter(({ dueAt }) => dueAt !== undefined);
    if (living.length === 0) return;
    sound = sim.pick(living) as Stored as Item;
    sim.tell("weather", `${sound.id} is edited by hand and cannot be read`);
    void world.table.put({ ...sound, phase: UNKNOWN_PHASE } as Item);
    world.watch.reached.note("unreadable record mended");
  };
  const mend = () => sound && mended(sim, world, sound);
  return [
    { at, run: edit },
    ...[between(sim, at, until), until].map((when) => ({ at: when, run: () => void mend(), isNeeded: true })),
  ];
}

/** What no version of the core writes. */
export const UNKNOWN_PHASE = "edited";

/** As it was, due now; a write that was under way meanwhile has mended it already. */
async function mended(sim: Scheduler, world: SimulatedWorld, sound: Item & Key): Promise<void> {
  const present = await world.table.get({ pk: sound.pk, sk: sound.sk });
  if (present?.phase !== UNKNOWN_PHASE) return;
  sim.tell("weather", `${sound.id} is mended`);
  // As a writer of his own: whoever has read what was unreadable must not put it back.
  const writers = [`mended at ${sim.time()}`, ...(present.writers as string[])].slice(0, KEPT_WRITERS);
  const whole = { ...sound, writers, dueAt: sim.time() } as Item;
  await world.table.put(whole);
  world.watch.mended(whole);
}

/** Messages that say nothing, or name what is not there. */
function poison(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const looks = ["", "nothing", "owner#|", "pool#no-such|-", "owner#00#env#gpu-dev|none", "x".repeat(500)];
  return looks.map((look) => ({
    at: between(sim, sim.time(), until),
    run: () => void world.queue.send("work", { look, ...(sim.random() < 0.3 && { for: ["", "nobody"] }) }),
  }));
}

function between(sim: Scheduler, from: number, to: number): number {
  return from + sim.random() * Math.max(0, to - from);
}
