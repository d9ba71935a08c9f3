import type { Disk } from "#core/disks/record.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { parseApiKey, parseUser } from "#core/users/record.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { beyondBound } from "./bounds.ts";
import { keptSecrets } from "./secret-invariants.ts";

/** What clients were told had been done. */
export interface Answered {
  readonly submits: string[];
  readonly cancels: { readonly uid: string; readonly at: number }[];
  readonly extensions: { readonly owner: string; readonly id: string; readonly extraMs: number; isAnswered: boolean }[];
  readonly undeletes: { readonly uid: string; readonly at: number }[];
  /** The uids of disks that were made of snapshots. */
  readonly restores: string[];
}

/** Where nothing goes wrong: how long a cancel may take, a command's grace and the release of what just began included. */
const PROMPT_CANCEL_MS = 25_000 + 43_000;
/** Chains of looks merge: more messages than this about one record is a chain that multiplied. */
const MOST_MESSAGES = 12;

/** What must hold once the faults have stopped and nothing is due any more. */
export function finalViolations(
  world: SimulatedWorld,
  sim: Scheduler,
  wasCalm: boolean,
  runs: readonly { readonly uid: string; readonly run: number }[],
): string[] {
  // Now: what goes on while this is judged would be another call.
  const isUnderWay = sim.nextAt() !== undefined;
  const environments = [...world.watch.environments().values()];
  const violations = environments.flatMap((environment) => [
    ...unfinished(environment),
    // Where the operator ended it by force, what was promised may have gone with the edit.
    ...(world.watch.isForced(environment.uid) ? [] : brokenPromises(world, environment)),
    ...(wasCalm ? lateCancels(world, environment) : []),
  ]);
  for (const uid of world.answered.submits) {
    const environment = world.watch.environments().get(uid);
    // Where its record was ended by force, what had been decided of it before went with the edit.
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
    // With the edit of a record that was ended by force went the number of its run: the comparison of orphans finds this.
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

/** Every key is as disabled as its user, and no user still has keys to end. */
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

/** No disk is held by somebody who ended, and every request on one was closed. */
function diskViolations(world: SimulatedWorld): string[] {
  const disks = [...world.watch.disks().values()];
  const lives = (holder: Disk["heldBy"]) => {
    const environment = holder && world.watch.environments().get(holder.uid);
    return environment ? !isEnded(environment) : false;
  };
  // A lease of somebody who has ended counts as none: a worker that slept may write one.
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

/** A cancel that was answered ends as cancelled, time that was promised is given. */
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

/** An extension adds what was asked, once; one that was not answered adds that or nothing. */
function wrongExtensions(world: SimulatedWorld, { uid, owner, id, size }: Environment): string[] {
  const extensions = world.answered.extensions.filter((extension) => extension.owner === owner && extension.id === id);
  const sum = (some: typeof extensions) => some.reduce((total, { extraMs }) => total + extraMs, 0);
  const sure = (world.watch.wantedFirst(uid) ?? 0) + sum(extensions.filter(({ isAnswered }) => isAnswered));
  const possible = [sure];
  for (const { extraMs } of extensions.filter(({ isAnswered }) => !isAnswered)) {
    possible.push(...possible.map((value) => value + extraMs));
  }
  return possible.includes(size.wantedMs)
    ? []
    : [`${id} is wanted for ${size.wantedMs} ms, and ${possible.join(" or ")} were asked for`];
}

function lateCancels(world: SimulatedWorld, environment: Environment): string[] {
  const input = world.answered.cancels.find((cancel) => cancel.uid === environment.uid);
  if (!input || environment.end.at === null || environment.disk) return [];
  const took = environment.end.at - input.at;
  return took > PROMPT_CANCEL_MS ? [`${environment.id} took ${Math.round(took)} ms to cancel`] : [];
}
