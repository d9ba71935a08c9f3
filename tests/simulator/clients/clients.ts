import { createDisk } from "#core/disks/create.ts";
import { renameDisk } from "#core/disks/names/rename.ts";
import { deleteDisk, undeleteDisk } from "#core/disks/requests.ts";
import { getDisk, listDisks } from "#core/disks/view.ts";
import { reservation } from "#core/environments/record/policy.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { addCollaborator, requestCancel, requestExtension, requestJupyter } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newActor, newEnvironment } from "../../worlds/memory-world.ts";
import { asUser, type UserPorts } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { chatActions } from "./chat-clients.ts";
import { keyActions } from "./key-clients.ts";
import { keyedActions } from "./keyed-clients.ts";
import { lifeActions } from "./life-clients.ts";
import { compareNow, operatorActions } from "./operator-clients.ts";
import { restoreActions } from "./restore-clients.ts";
import { webhookActions } from "./webhook-clients.ts";
import { wornDiskActions } from "./worn-disk-clients.ts";

export interface ClientAction {
  readonly at: number;
  /** Undoes another action, so shrinking never leaves it out. */
  readonly isNeeded?: boolean;
  run(): void;
}

const MINUTE = 60_000;
const OWNERS = ["alice", "bob", "carol"];

/** Number of environments of each kind, and other actions of users, for one seed. */
interface Cast {
  readonly jobs: number;
  /** Number of owners whose environments start again and again. */
  readonly lives: number;
  /** Number of environments with webhook receivers. */
  readonly receivers: number;
  readonly talks: boolean;
  readonly handsOver: boolean;
  readonly disks: boolean;
  readonly keys: boolean;
  readonly worn: boolean;
  readonly keyed: boolean;
  readonly operator: boolean;
  readonly restores: boolean;
}

/** Lists the actions of all users. Job ids repeat across the 3 owners. */
export function clientActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const cast = getCast(sim, world);
  const actions = jobActions(sim, world, cast.jobs);
  const start = sim.time();
  if (cast.handsOver) actions.push(...handover(sim, world, start));
  if (cast.disks) actions.push(...diskActions(sim, world, start));
  if (cast.keys) actions.push(...keyActions(sim, world));
  if (cast.talks) actions.push(...chatActions(sim, world));
  if (cast.restores) actions.push(...restoreActions(sim, world));
  if (cast.worn) actions.push(...wornDiskActions(sim, world));
  if (cast.keyed) actions.push(...keyedActions(sim, world));
  if (cast.operator) actions.push(...operatorActions(sim, world));
  if (cast.lives > 0) actions.push(...lifeActions(sim, world, cast.lives));
  if (cast.receivers > 0) actions.push(...webhookActions(sim, world, cast.receivers));
  return actions.sort((a, b) => a.at - b.at);
}

const OFTEN = 0.2;
/** Without this, a job would have too little time left to be queued again. */
const LONGER_HOURS = 0.15;

const nobody: Cast = {
  jobs: 0,
  lives: 0,
  receivers: 0,
  talks: false,
  handsOver: false,
  disks: false,
  keys: false,
  worn: false,
  keyed: false,
  operator: false,
  restores: false,
};

/** Chooses at most 6 environments. Other kinds replace jobs, so each seed costs about the same. */
function getCast(sim: Scheduler, { isLong, isRestoring }: Pick<SimulatedWorld, "isLong" | "isRestoring">): Cast {
  const places = 1 + Math.floor(sim.random() * 6);
  // A worker that sleeps before it creates a run must not mount a disk that was handed over.
  const handsOver = sim.random() < (sim.rates().sleepBeforeMaking >= OFTEN ? 0.5 : 0.15);
  const talks = sim.random() < 0.15;
  const lives = sim.random() < 0.35 ? (sim.random() < 0.3 ? 2 : 1) : 0;
  const receivers = sim.random() < 0.35 ? 1 + Math.floor(sim.random() * 2) : 0;
  const worn = sim.random() < 0.04;
  const keyed = sim.random() < 0.06;
  const others = (handsOver ? 2 : 0) + (talks ? 1 : 0) + (worn ? 4 : 0) + (keyed ? 1 : 0) + lives + receivers;
  const jobs = Math.max(others === 0 ? 1 : 0, places - others);
  const disks = jobs > 0 && sim.random() < 0.6;
  const also = { keys: sim.random() < 0.3, worn, keyed, operator: sim.random() < 0.1 };
  // Other users end their environments before the faults of a long world end.
  if (isLong) return { ...nobody, worn: true };
  if (isRestoring) return { ...nobody, restores: true };
  return { ...nobody, jobs, lives, receivers, talks, handsOver, disks, ...also };
}

function jobActions(sim: Scheduler, world: SimulatedWorld, count: number): ClientAction[] {
  const actions: ClientAction[] = [];
  const start = sim.time();
  const oneOwner = sim.random() < 0.3;
  for (let n = 0; n < count; n++) {
    const owner = OWNERS[oneOwner ? 0 : n % OWNERS.length] as string;
    const id = `job-${oneOwner ? n + 1 : Math.floor(n / OWNERS.length) + 1}`;
    actions.push(...environmentActions(sim, world, owner, id, start + sim.random() * (oneOwner ? 5 : 2) * MINUTE));
  }
  return actions;
}

function environmentActions(
  sim: Scheduler,
  world: SimulatedWorld,
  owner: string,
  id: string,
  at: number,
): ClientAction[] {
  const drawn = sim.pick([1, 2, 4, 8, 8, 16]);
  const gpus = drawn === 16 && world.nodeCount > 2 ? sim.pick([24, 32]) : drawn;
  const hours = Math.ceil((1 + sim.random() * 4) * 60) / 3600;
  const disk = sim.random() < 0.6 ? "data" : undefined;
  // Chosen without a random number, so that other schedules stay the same.
  const isRequeued = Math.floor(at) % 3 === 0;
  const more = isRequeued && { policy: { ...reservation, onInterruption: "requeue" } as const };
  const job = () => {
    const command = sim.random() < 0.35 && { command: "train" };
    return {
      ...newEnvironment(id, { gpus, hours: hours + (isRequeued ? LONGER_HOURS : 0), disk, ...command }),
      ...more,
    };
  };
  const actions = [{ at, run: () => submit(sim, world, owner, job()) }];
  if (sim.random() < 0.5) {
    const soon = sim.random() < 0.3 ? 20_000 : sim.random() * 4 * MINUTE;
    actions.push({ at: at + sim.random() * soon, run: () => cancel(sim, world, owner, id) });
  }
  for (let asks = sim.random() < 0.3 ? 3 : 0; asks > 0; asks--) {
    actions.push({ at: at + sim.random() * 3 * MINUTE, run: () => askForAccess(sim, world, owner, id) });
  }
  if (sim.random() < (world.isSlow ? 0.6 : 0.08)) {
    const later = world.isSlow ? SLEPT_MS + sim.random() * 30_000 : sim.random() * 3 * MINUTE;
    actions.push({ at: at + later, run: () => vanish(sim, world, owner, id) });
  }
  if (sim.random() < 0.4) {
    const extraMs = Math.round(MINUTE * (1 + sim.random()));
    actions.push({ at: at + sim.random() * 4 * MINUTE, run: () => extend(sim, world, owner, id, extraMs) });
  }
  return actions;
}

/**
 * Hands a disk from a job that is cancelled at its start to the next job. A sleeping worker must not mount it for the
 * first job.
 */
function handover(sim: Scheduler, world: SimulatedWorld, start: number): ClientAction[] {
  const at = start + sim.random() * MINUTE;
  const job = (id: string) => newEnvironment(id, { gpus: sim.pick([1, 8]), hours: 0.05, disk: "passed-on" });
  const cancelled = { at: at + sim.random() * 5_000, run: () => cancel(sim, world, "erin", "first") };
  const isAsItBegins = sim.random() < 0.7;
  if (isAsItBegins) world.watch.life.whenChecked(asItsRunIsMade(cancelled));
  return [
    { at, run: () => submit(sim, world, "erin", job("first")) },
    ...(isAsItBegins ? [] : [cancelled]),
    { at: at + 1_000 + sim.random() * 9_000, run: () => submit(sim, world, "erin", job("second")) },
  ];
}

function asItsRunIsMade(cancelled: ClientAction): (environment: Environment) => void {
  let isAsked = false;
  return ({ id, phase, run: { appliedAt } }) => {
    if (isAsked || id !== "first" || phase !== "preparing" || appliedAt !== null) return;
    isAsked = true;
    cancelled.run();
  };
}

/** Creates, deletes, recreates, undeletes (about when the purge begins) and renames disks. */
function diskActions(sim: Scheduler, world: SimulatedWorld, start: number): ClientAction[] {
  const owner = sim.pick(OWNERS);
  const at = (least: number, most: number) => start + (least + sim.random() * (most - least)) * MINUTE;
  const ask = (when: number, label: string, request: (ctx: UserPorts) => Promise<unknown>): ClientAction => ({
    at: when,
    run: () => asUser(sim, world, owner, label, request),
  });
  const deleted = at(0.5, 6);
  const actions = [
    ask(at(0, 1), "create disk", (ctx) => createDisk(ctx, { name: "data", sizeGb: 10 })),
    ask(deleted, "delete disk", (ctx) => deleteDisk(ctx, "data")),
  ];
  const undeleted = deleted + (sim.random() < 0.5 ? 172_300 + sim.random() * 3_000 : sim.random() * 3 * MINUTE);
  if (sim.random() < 0.8) {
    actions.push(
      ask(undeleted, "undelete disk", async (ctx) => {
        const { disk } = await undeleteDisk(ctx, "data");
        world.answered.undeletes.push({ uid: disk.uid, at: sim.time() });
      }),
    );
  }
  // Chosen without a random number, so that other schedules stay the same.
  if (Math.floor(deleted) % 3 === 2) {
    const anew = deleted + (undeleted - deleted) * (deleted % 1);
    actions.push(
      ask(anew, "create disk anew", (ctx) => createDisk(ctx, { name: "data", sizeGb: 10 })),
      ask(anew + MINUTE, "undelete the disk before", (ctx) => undeleteSetAside(ctx)),
    );
  }
  if (sim.random() < 0.3) {
    actions.push(
      ask(at(1, 6), "rename disk", async (ctx) => renameDisk(ctx, (await getDisk(ctx, "data")).name, "other")),
    );
  }
  return actions;
}

/** Undeletes the first disk that lost its name to a new one. */
async function undeleteSetAside(ctx: UserPorts): Promise<void> {
  const found = (await listDisks(ctx, { deleted: true })).find(({ name }) => name !== "data");
  if (!found) throw new Error("No disk was set aside");
  await undeleteDisk(ctx, found.name);
}

export function submit(
  sim: Scheduler,
  world: SimulatedWorld,
  owner: string,
  input: ReturnType<typeof newEnvironment>,
): void {
  asUser(sim, world, owner, `submit ${input.id}`, async (ctx) => {
    const environment = await createEnvironment(ctx, input);
    world.answered.submits.push(environment.uid);
  });
}

export function cancel(sim: Scheduler, world: SimulatedWorld, owner: string, id: string): void {
  asUser(sim, world, owner, `cancel ${id}`, async (ctx) => {
    await requestCancel(ctx, id);
    const uid = findUid(world, owner, id);
    if (uid) world.answered.cancels.push({ uid, at: sim.time() });
  });
}

export function extend(sim: Scheduler, world: SimulatedWorld, owner: string, id: string, extraMs: number): void {
  asUser(sim, world, owner, `extend ${id}`, async (ctx) => {
    const extension = { owner: newActor(owner).uid, id, extraMs, isAnswered: false };
    world.answered.extensions.push(extension);
    await requestExtension(ctx, id, extraMs);
    extension.isAnswered = true;
  });
}

/** Requests Jupyter or access for an unknown GitHub user. Each request must be closed despite all faults. */
function askForAccess(sim: Scheduler, world: SimulatedWorld, owner: string, id: string): void {
  const wanted = sim.pick(["on", "off", "guest"] as const);
  asUser(sim, world, owner, `access ${wanted} ${id}`, async (ctx) => {
    if (wanted === "guest") await addCollaborator(ctx, id, "octocat", ({ phase }) => phase);
    else await requestJupyter(ctx, id, wanted === "on", ({ phase }) => phase);
  });
}

/** A worker that slept longer may not create anything from what it has read. */
const SLEPT_MS = 30_000;

const COMPARED = 0.2;

/**
 * Deletes a run behind Berth's back, late enough that no sleeping worker can create it again. No rule covers that case.
 */
function vanish(sim: Scheduler, world: SimulatedWorld, owner: string, id: string): void {
  const environment = world.watch.environments().get(findUid(world, owner, id) ?? "");
  if (!environment?.run.appliedAt || environment.run.withdrawing || sim.time() - environment.run.appliedAt < SLEPT_MS)
    return;
  // Without force, because a run on a silent machine could otherwise continue unnoticed.
  void world.compute.remove(environment.uid, environment.run.n, { graceSeconds: 0, force: false });
  if (sim.random() < COMPARED) compareNow(sim, world);
}

function findUid(world: SimulatedWorld, owner: string, id: string): string | undefined {
  const all = [...world.watch.environments().values()];
  return all.find((environment) => environment.owner === newActor(owner).uid && environment.id === id)?.uid;
}
