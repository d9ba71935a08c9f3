import { requestResize } from "#core/environments/record/changes/resize.ts";
import { type Policy, reservation } from "#core/environments/record/policy.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment, type NewEnvironment } from "#core/environments/verbs/create.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { executeIn } from "#core/environments/verbs/exec.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { markBusy, touchEnvironment } from "#core/environments/verbs/touch.ts";
import { newEnvironment } from "../../worlds/memory-world.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const MINUTE = 60_000;
const OWNERS = ["alice", "grace"];
const ID = "keeps";
/** Faults end after 8 minutes (schedule.ts). A frozen host may create the environment up to 12 minutes later. */
const ENDS_MS = [9 * MINUTE, 10 * MINUTE, 20 * MINUTE];

/** Uses just before an auto-stop. Later, the environment stops. */
const MOST_LAST_USES = 2;

type Ask = (when: number, label: string, request: (ctx: UserPorts) => Promise<unknown>) => ClientAction;

/** Stops and starts environments of one owner, or of two that want the same host name. */
export function lifeActions(sim: Scheduler, world: SimulatedWorld, count: number): ClientAction[] {
  const start = sim.time();
  const owners = count > 1 ? OWNERS : [sim.pick(OWNERS)];
  return owners.flatMap((owner) => {
    const ask: Ask = (when, label, request) => ({
      at: when,
      run: () => asUser(sim, world, owner, `${label} ${ID}`, request),
    });
    return ownerActions(sim, world, ask, start);
  });
}

function ownerActions(sim: Scheduler, world: SimulatedWorld, ask: Ask, start: number): ClientAction[] {
  const at = (least: number, most: number) => start + (least + sim.random() * (most - least)) * MINUTE;
  const input = newSession(sim);
  const created = at(0, 2);
  const make = (ctx: UserPorts) => createEnvironment(ctx, input);
  const actions = [ask(created, "create", make)];
  const some = (most: number) => Math.floor(sim.random() * (most + 1));
  for (let n = some(4); n > 0; n--) actions.push(ask(at(0, 7), "stop", (ctx) => requestStop(ctx, ID)));
  for (let n = some(4); n > 0; n--) actions.push(ask(at(0, 8), "start", (ctx) => requestStart(ctx, ID, changes(sim))));
  for (let n = some(2); n > 0; n--) {
    const cpus = sim.pick([0.5, 1]);
    actions.push(ask(at(0, 7), "resize", (ctx) => requestResize(ctx, ID, { cpus, memoryMb: 1024 * cpus })));
  }
  for (let n = some(5); n > 0; n--) actions.push(ask(at(0, 8), "beat", (ctx) => beat(world, ctx)));
  for (let n = some(3); n > 0; n--) actions.push(ask(at(0, 8), "exec", (ctx) => mark(sim, world, ctx)));
  for (let n = some(1); n > 0; n--) actions.push(ask(at(1, 8), "execute", (ctx) => execute(world, ctx)));
  if (sim.random() < 0.4) {
    actions.push(ask(at(0.5, 7), "delete", (ctx) => requestDelete(ctx, ID)));
    actions.push(ask(at(2, 8), "create anew", make));
  }
  if (input.policy?.idle) {
    const isExec = sim.random() < 0.5;
    const use = ask(0, "use", (ctx) => (isExec ? mark(sim, world, ctx) : beat(world, ctx)));
    world.watch.life.whenChecked(asItIsJudged(sim, use));
  }
  if (sim.random() < 0.25) {
    const gone = ask(0, "delete", (ctx) => requestDelete(ctx, ID));
    world.watch.life.whenChecked(asItIsMade(gone));
  }
  if (sim.random() < 0.3) {
    // Stops at the start of a run: a sleeping worker must not create the first run beside the second.
    const stopped = created + sim.random() * 5_000;
    actions.push(ask(stopped, "stop", (ctx) => requestStop(ctx, ID)));
    actions.push(ask(stopped + sim.random() * 5_000, "start", (ctx) => requestStart(ctx, ID, changes(sim))));
  }
  const end = sim.random() < 0.7 ? requestDelete : requestStop;
  // Repeats the end until it succeeds.
  for (const late of ENDS_MS) actions.push(ask(start + late, "end", (ctx) => end(ctx, ID)));
  return actions;
}

const volumes = [
  { name: "workspace", path: "/workspace", sizeGb: 5 },
  { name: "home", path: "/home/dev8", sizeGb: 5 },
];

/** Uses the environment while a worker decides about its auto-stop. The use must count. */
function asItIsJudged(sim: Scheduler, use: ClientAction): (environment: Environment) => void {
  let uses = MOST_LAST_USES;
  return (environment) => {
    if (uses === 0 || !isUnused(environment, sim.time())) return;
    uses -= 1;
    use.run();
  };
}

/** Deletes the environment while its volumes are created. Unrecorded volumes must be removed too. */
function asItIsMade(gone: ClientAction): (environment: Environment) => void {
  let isAsked = false;
  return ({ id, phase, volumes }) => {
    if (isAsked || id !== ID || phase !== "preparing" || !volumes.some(({ volume }) => volume === null)) return;
    isAsked = true;
    gone.run();
  };
}

function isUnused({ id, phase, policy, run: { startedAt }, use: { idle } }: Environment, now: number): boolean {
  if (id !== ID || phase !== "active" || !policy.idle || startedAt === null) return false;
  const checkAt = (idle?.at ?? startedAt) + policy.idle.everyMs;
  return checkAt <= now && now - (idle?.since ?? startedAt) > policy.idle.afterMs;
}

function newSession(sim: Scheduler): NewEnvironment {
  const policy: Policy = {
    ...reservation,
    time: "none",
    restarts: true,
    archives: sim.random() < 0.5 ? "workspace" : null,
    idle: sim.random() < 0.5 ? { afterMs: 20_000, everyMs: 5_000 } : null,
    readyWithinMs: sim.random() < 0.3 ? 2 * MINUTE : null,
    firstFailure: sim.pick(["keeps", "clears"] as const),
    forgetsSpec: sim.random() < 0.3,
  };
  return {
    ...newEnvironment(ID, { gpus: sim.pick([1, 2, 4]), hours: 0.1 }),
    policy,
    volumes: sim.random() < 0.3 ? [] : volumes,
    resources: { cpus: 1, memoryMb: 2048 },
    ...(sim.random() < 0.5 && { addressLabel: "ws-keeps" }),
  };
}

/** Changes the size in half of the starts. A late index entry of the earlier size must not be granted. */
function changes(sim: Scheduler) {
  const otherEntry = sim.random() < 0.5 && newEnvironment(ID, { gpus: sim.pick([1, 2, 4, 8]), hours: 0.1 });
  return { image: "python:3.12", env: { TOKEN: String(sim.random()) }, ...(otherEntry && { size: otherEntry.size }) };
}

async function beat(world: SimulatedWorld, ctx: UserPorts): Promise<void> {
  const at = ctx.clock.now();
  const { uid } = await touchEnvironment(ctx, ID, at);
  world.watch.life.answered({ uid, kind: "beat", at, until: at });
}

async function mark(sim: Scheduler, world: SimulatedWorld, ctx: UserPorts): Promise<void> {
  const at = ctx.clock.now();
  const until = at + Math.round(sim.random() * 3 * MINUTE);
  const { uid } = await markBusy(ctx, ID, until);
  world.watch.life.answered({ uid, kind: "exec", at, until });
}

/** Runs a real command. Its activity must be recorded before it starts. */
async function execute(world: SimulatedWorld, ctx: UserPorts): Promise<void> {
  await executeIn(ctx, ID, { words: ["true"], timeoutSeconds: 5, capSeconds: 15, readyWithinMs: 0 });
  world.watch.reached.note("exec answered");
}
