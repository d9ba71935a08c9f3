import type { Disk } from "#core/disks/record.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { parseApiKey, parseUser } from "#core/users/record.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { beyondBound } from "./bounds.ts";
import { keptSecrets } from "./secret-invariants.ts";

/** Requests that were answered with success. */
export interface Answered {
  readonly submits: string[];
  readonly cancels: { readonly uid: string; readonly at: number }[];
  readonly extensions: { readonly owner: string; readonly id: string; readonly extraMs: number; isAnswered: boolean }[];
  readonly undeletes: { readonly uid: string; readonly at: number }[];
  readonly restores: string[];
}

/** Longest cancel without faults, including the command's grace period and the release of a run that just began. */
const PROMPT_CANCEL_MS = 25_000 + 43_000;
/** Chains of reconciles merge. More messages about one record mean that a chain multiplied. */
const MOST_MESSAGES = 12;

/** Returns what is wrong when the faults have ended and nothing is due. */
export function finalViolations(
  world: SimulatedWorld,
  sim: Scheduler,
  wasCalm: boolean,
  runs: readonly { readonly uid: string; readonly run: number }[],
): string[] {
  // Read now, because the checks below make calls themselves.
  const isUnderWay = sim.nextAt() !== undefined;
  const environments = [...world.watch.environments().values()];
  const violations = environments.flatMap((environment) => [
    ...unfinished(environment),
    // A manual edit before a forced end may have removed what was promised.
    ...(world.watch.isForced(environment.uid) ? [] : brokenPromises(world, environment)),
    ...(wasCalm ? lateCancels(world, environment) : []),
  ]);
  for (const uid of world.answered.submits) {
    const environment = world.watch.environments().get(uid);
    // A manual edit before a forced end may have removed earlier decisions.
    const isDeleted = environment?.phase === "deleted" && !world.watch.isForced(uid);
    if (!environment || isDeleted) violations.push(`an answered submit was lost: ${uid}`);
  }
  violations.push(...diskViolations(world), ...world.watch.restores.final(world.answered.restores));
  violations.push(...keyViolations(world));
  violations.push(...keptSecrets(world.table, world.watch.environments()));
  violations.push(...world.webhooks.final(world.table, environments));
  violations.push(...world.watch.life.final(world.volumes));
  violations.push(...world.table.all().flatMap((item) => beyondBound(item) ?? []));
  for (const { uid, run } of runs) {
    // A manual edit may have removed the run's number. The comparison of orphans finds such a run.
    if (world.watch.isForced(uid) && world.leftovers.has(`${uid}-r${run}`)) continue;
    violations.push(`run ${run} of ${world.watch.environments().get(uid)?.id} is left`);
  }
  if (wasCalm) violations.push(...world.watch.latency.late());
  for (const [recordKey, count] of world.queue.outstanding()) {
    if (count > MOST_MESSAGES) violations.push(`${count} messages say to look at ${recordKey}`);
  }
  const left = [...world.watch.pools().values()].flatMap(({ granted, held }) => [...granted, ...held]);
  if (left.length > 0 && violations.length === 0) violations.push(`the ledger still names ${left.length}`);
  for (const [node, units] of world.watch.nodes()) {
    if (world.compute.liveUnits(node) > 0) violations.push(`${node} still runs something`);
    const peak = world.compute.peakUnits(node);
    if (peak > units) violations.push(`${peak} units ran on ${node} at once`);
  }
  if (isUnderWay) violations.push("calls are still under way");
  return violations;
}

/** Keys are disabled with their user, and no user still has keys to end. */
function keyViolations(world: SimulatedWorld): string[] {
  const items = world.table.all();
  const users = items.filter((item) => item.kind === "user").map(parseUser);
  const live = items.filter((item) => item.kind === "key" && item.revokedAt === null).map(parseApiKey);
  const unequal = live.filter((key) => users.some((user) => user.uid === key.uid && user.disabled !== key.disabled));
  return [
    ...unequal.map((key) => `key ${key.prefix} is not as disabled as its user`),
    ...users.filter((user) => user.revoking.length > 0).map((user) => `${user.username} has keys that never ended`),
  ];
}

/** Ended environments hold no disk, and all requests on disks are closed. */
function diskViolations(world: SimulatedWorld): string[] {
  const disks = [...world.watch.disks().values()];
  const lives = (holder: Disk["heldBy"]) => {
    const environment = holder && world.watch.environments().get(holder.uid);
    return environment ? !isEnded(environment) : false;
  };
  // A sleeping worker may write a lease of an ended environment. It does not count.
  const held = disks
    .filter((disk) => lives(disk.heldBy) || lives(disk.next))
    .map((disk) => `disk ${disk.name} is still held`);
  const pending = disks.filter((disk) => disk.snapshots.some((snapshot) => !snapshot.completed));
  const open = world.table.all().filter((item) => item.kind === "operation" && item.status === "pending");
  const knownItems = open.filter((item) => disks.some((disk) => disk.operations.some(({ id }) => id === item.id)));
  return [
    ...held,
    ...pending.map((disk) => `disk ${disk.name} waits for a backup for ever`),
    ...knownItems.map((item) => `the request ${item.sk} was never closed`),
  ];
}

function unfinished(environment: Environment): string[] {
  if (environment.dueAt !== undefined) {
    return [`${environment.id} is not done: ${environment.phase}, ${environment.fault ?? environment.reason ?? ""}`];
  }
  const open = environment.requests.list.filter((action) => action.status === "requested");
  if (open.length > 0) return [`${environment.id} has requests that nobody answered`];
  if (environment.events.emitted !== environment.events.count)
    return [`${environment.id} has events that nobody was told`];
  if (environment.waitPool !== undefined) return [`${environment.id} ended and still stands in the queue`];
  return [];
}

/** An answered cancel ends as cancelled, and promised time is granted. */
function brokenPromises(world: SimulatedWorld, environment: Environment): string[] {
  const {
    uid,
    id,
    phase,
    run: { startedAt },
    end: { at: endedAt },
    times: { endsAt },
    size,
    policy,
  } = environment;
  const broken: string[] = [];
  if (world.answered.cancels.some((cancel) => cancel.uid === uid) && phase !== "cancelled") {
    broken.push(`${id} was cancelled and ended as ${phase}`);
  }
  const isTimed = policy.time === "run";
  if (isTimed && startedAt !== null && endsAt !== startedAt + size.wantedMs)
    broken.push(`${id} has another end than it wanted`);
  broken.push(...wrongExtensions(world, environment));
  if (phase !== "expired" || startedAt === null || endedAt === null) return broken;
  if (endedAt - startedAt < size.wantedMs - world.watch.clocksMs()) broken.push(`${id} expired before its time`);
  return broken;
}

/** An answered extension is added once. An unanswered one is added once or not at all. */
function wrongExtensions(world: SimulatedWorld, { uid, owner, id, size, times }: Environment): string[] {
  const extensions = world.answered.extensions.filter((extension) => extension.owner === owner && extension.id === id);
  const sum = (some: typeof extensions) => some.reduce((total, { extraMs }) => total + extraMs, 0);
  const sure = (world.watch.wantedFirst(uid) ?? 0) + sum(extensions.filter(({ isAnswered }) => isAnswered));
  const possible = [sure];
  for (const { extraMs } of extensions.filter(({ isAnswered }) => !isAnswered)) {
    possible.push(...possible.map((value) => value + extraMs));
  }
  const wantedMs = size.wantedMs + (times.earlierMs ?? 0);
  return possible.includes(wantedMs)
    ? []
    : [`${id} is wanted for ${wantedMs} ms, and ${possible.join(" or ")} were asked for`];
}

function lateCancels(world: SimulatedWorld, environment: Environment): string[] {
  const input = world.answered.cancels.find((cancel) => cancel.uid === environment.uid);
  if (!input || environment.end.at === null || environment.disk) return [];
  const took = environment.end.at - input.at;
  return took > PROMPT_CANCEL_MS ? [`${environment.id} took ${Math.round(took)} ms to cancel`] : [];
}
