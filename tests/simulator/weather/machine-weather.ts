import { reservation } from "#core/environments/record/policy.ts";
import { noteMachineNotice } from "#core/pools/capacity/machine-notice.ts";
import { declareNodeGone } from "#core/pools/capacity/node-gone.ts";
import type { Compute, MachineState, NodeRef } from "#core/ports/compute.ts";
import { newEnvironment } from "../../worlds/memory-world.ts";
import { type ClientAction, submit } from "../clients/clients.ts";
import { asUser } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { BLOCK } from "./block.ts";

/** Wrong answers of the provider about machines, by node uid, with their end. */
export type Hearsay = Map<string, { readonly says: MachineState; readonly until: number }>;

const MINUTE = 60_000;
/** Name of a replacement that differs from the dead machine's. */
const REPLACEMENT = "h100-4";
/** A NotReady machine counts as lost after five minutes. Its replacement comes later. */
const NOT_READY_MS = 6 * MINUTE;
const LONGEST_HEARSAY_MS = 4 * MINUTE;
/** Faults end after 8 minutes (schedule.ts). A frozen host returns up to 12 minutes later. */
const SAID_MS = [9 * MINUTE, 10 * MINUTE, 21 * MINUTE];

/** Returns the provider's answers: the truth, except for `hearsay`. */
export function provider(
  { getMachineState: machineOf }: Pick<Compute, "getMachineState">,
  hearsay: Hearsay,
  now: () => number,
): Compute["getMachineState"] {
  return async (node: NodeRef) => {
    const heard = hearsay.get(node.uid);
    return heard && heard.until > now() ? heard.says : machineOf(node);
  };
}

type Weather = (sim: Scheduler, world: SimulatedWorld, until: number, name: string) => ClientAction[];

/** A machine is silent and returns, dies and is replaced, or is dead and only the operator knows. */
export function machineWeather(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  // A machine of a block does not return.
  const names = ["h100-1", "h100-2"].slice(0, world.group?.name === BLOCK ? 1 : 2);
  const name = sim.pick(names);
  const weather: Weather = sim.pick([notReady, notReady, vanishes, dies, dies, dies, diesUnheard]);
  if (weather !== notReady) world.machines.areChanging = true;
  return weather(sim, world, until, name);
}

function notReady(sim: Scheduler, world: SimulatedWorld, until: number, name: string): ClientAction[] {
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
  // Shrinking may drop the silence, but never the return.
  return [
    { at, run: lost },
    ...[between(sim, at, until), until].map((when) => ({ at: when, run: back, isNeeded: true })),
  ];
}

/** The node object disappears while the machine continues. Nothing may be forced. The node may return with its uid. */
function vanishes(sim: Scheduler, world: SimulatedWorld, until: number, name: string): ClientAction[] {
  const at = between(sim, sim.time(), until);
  const gone = () => {
    sim.tell("weather", `${name} is no node any more, and its machine runs`);
    world.compute.removeNode(name);
  };
  const back = () => {
    sim.tell("weather", `${name} is a node again, with its uid`);
    world.compute.returnNode(name);
  };
  const soon = Math.min(until, at + sim.random() * MINUTE);
  return [{ at, run: gone }, ...[soon, until].map((when) => ({ at: when, run: back, isNeeded: true }))];
}

/**
 * The machine dies, and its provider reports that sooner or later. The replacement has its name or its own, and a new
 * uid.
 */
function dies(sim: Scheduler, world: SimulatedWorld, until: number, name: string): ClientAction[] {
  const at = between(sim, sim.time(), until);
  const keepsNode = sim.random() < 0.3;
  const heardAt = sim.random() < 0.4 ? at : at + sim.random() * LONGEST_HEARSAY_MS;
  const joinsAs = sim.random() < 0.6 ? name : REPLACEMENT;
  const isQuick = sim.random() < 0.4;
  const joinsAt = isQuick ? at + sim.random() * 20_000 : Math.max(until, at + (keepsNode ? NOT_READY_MS : 0));
  // Chosen without a random number, so that other schedules stay the same.
  const isTold = Math.floor(at) % 3 !== 0;
  const dying = { name };
  const die = () => {
    kill(sim, world, dying.name);
    hear(world, formatUid(dying.name), "running", heardAt);
    if (!keepsNode) world.compute.removeNode(dying.name);
  };
  const told = isTold ? [startsMoving(sim, world), noticeBefore(sim, world, dying, at)] : [];
  const join = joins(sim, world, () => (joinsAs === name ? dying.name : joinsAs), joinsAt);
  return [...told, { at, run: die }, join];
}

const MOVING = "moves";

/** Starts a job that moves to another machine, and is long enough for that. */
function startsMoving(sim: Scheduler, world: SimulatedWorld): ClientAction {
  const policy = { ...reservation, onInterruption: "requeue" } as const;
  const job = { ...newEnvironment(MOVING, { gpus: 4, hours: 0.3, disk: "moves", command: "train" }), policy };
  return { at: sim.time(), run: () => submit(sim, world, "erin", job) };
}

/** EC2 announces two minutes before that it takes a machine back: the one of the job that moves, if it has one. */
function noticeBefore(sim: Scheduler, world: SimulatedWorld, dying: { name: string }, at: number): ClientAction {
  const tell = () => {
    const moving = [...world.watch.living().values()].find(({ id }) => id === MOVING);
    const [machine] = moving?.run.machines ?? [];
    if (machine && machine.uid === formatUid(machine.name)) dying.name = machine.name;
    asUser(sim, world, "provider", `notice about ${dying.name}`, (ctx) =>
      noteMachineNotice(ctx, { machine: dying.name, kind: "spot", at: sim.time() }),
    );
  };
  return { at: Math.max(sim.time(), at - 2 * MINUTE), run: tell };
}

/** The machine dies and its provider never reports it. The operator repeats `node gone` until it succeeds. */
function diesUnheard(sim: Scheduler, world: SimulatedWorld, until: number, name: string): ClientAction[] {
  const at = between(sim, sim.time(), until);
  const says = sim.pick(["running", "unknown"] as const);
  const die = () => {
    kill(sim, world, name);
    hear(world, formatUid(name), says, Number.POSITIVE_INFINITY);
    if (sim.random() < 0.5) world.compute.removeNode(name);
  };
  const say = () =>
    asUser(sim, world, "operator", `nodes/${name}/gone`, async (ctx) => {
      // The operator tells only the truth: the name is the dead machine's, because the replacement has another.
      if (!world.compute.isMachineGone(formatUid(name))) return;
      await declareNodeGone(ctx, name);
      world.watch.reached.note("the operator said that a machine is gone");
    });
  const start = sim.time();
  const saidAt = [at + sim.random() * 2 * MINUTE, ...SAID_MS.map((later) => start + later)];
  return [
    { at, run: die },
    ...saidAt.map((when) => ({ at: when, run: say })),
    joins(sim, world, () => REPLACEMENT, until),
  ];
}

function kill(sim: Scheduler, world: SimulatedWorld, name: string): void {
  sim.tell("weather", `${name} dies`);
  world.compute.loseNode(name);
  world.compute.setMachine(formatUid(name), "gone");
}

function hear({ machines: { hearsay } }: SimulatedWorld, uid: string, says: MachineState, until: number): void {
  hearsay.set(uid, { says, until });
}

function joins(sim: Scheduler, world: SimulatedWorld, getName: () => string, at: number): ClientAction {
  const join = () => {
    const name = getName();
    const uid = `node-uid-${name}-again`;
    sim.tell("weather", `${name} joins, as a new machine`);
    world.compute.setNode({ ...world.firstNode, name, uid, providerId: `aws:///zone-a/${uid}` });
    world.watch.reached.note(name === REPLACEMENT ? "a lost machine replaced" : "a machine replaced under its name");
  };
  return { at, run: join, isNeeded: true };
}

/** Returns the uid of a machine of the initial world (memory-world.ts). */
function formatUid(name: string): string {
  return `node-${name}`;
}

function between(sim: Scheduler, from: number, to: number): number {
  return from + sim.random() * Math.max(0, to - from);
}
