import { restoreDisk } from "#core/disks/backups/from-snapshot.ts";
import { requestSnapshot } from "#core/disks/backups/on-demand.ts";
import type { Disk } from "#core/disks/record.ts";
import { getDisk } from "#core/disks/view.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newActor, newEnvironment } from "../../worlds/memory-world.ts";
import { asUser } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import { sourceActions } from "../weather/source-weather.ts";
import { loseBackup } from "../weather/volume-weather.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const OWNER = "judy";
const DISK = "origin";
const APART_MS = 60_000;
const MOST_COPIES = 3;

/** The request of a restore. Repeats are equal. */
export interface Copy {
  readonly name: string;
  readonly snapshotId: string;
  readonly ids: { readonly id: string; readonly uid: string };
  isMade: boolean;
}

/**
 * Runs short jobs with one disk, so each leaves a backup. Restores disks from the oldest backup about when it is
 * thinned out, and uses them.
 */
export function restoreActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const count = 7 + Math.floor(sim.random() * 2);
  const copies: Copy[] = [];
  restoreAsItIsThinnedOut(sim, world, copies);
  const actions: ClientAction[] = [];
  for (let n = 1; n <= count; n++)
    actions.push(...shortJob(sim, world, `origin-${n}`, start + n * APART_MS, () => DISK));
  for (let n = 0; n < MOST_COPIES; n++) {
    const at = start + (count - 1 + n) * APART_MS;
    // Repeats with one idempotency key until it is answered, as a client does. Then jobs use the disk.
    for (const later of [0, 5_000, 20_000]) actions.push({ at: at + later, run: () => repeat(sim, world, copies[n]) });
    const name = () => copies.slice(n, n + 1).find(({ isMade }) => isMade)?.name;
    actions.push(...shortJob(sim, world, `copy-${n}`, at + APART_MS, name));
  }
  // Every eighth schedule, without a random number, so that other schedules stay the same.
  if (Math.floor(actions[0]?.at ?? 0) % 8 === 0) actions.push(...snapshotsOnDemand(sim, world, start, count));
  if (sim.random() < 0.3) actions.push({ at: start + sim.random() * count * APART_MS, run: () => loseOne(sim, world) });
  if (sim.random() < 0.3) {
    const failing = { at: start + sim.random() * count * APART_MS, run: () => world.volumes.failSnapshotsLater(1) };
    actions.push(failing);
  }
  const users = { owner: OWNER, disk: DISK, copies, shortJob };
  return [...actions, ...sourceActions(sim, world, users, start + (count - 1) * APART_MS)];
}

/** Restores the oldest snapshot at the write that makes it superfluous. */
function restoreAsItIsThinnedOut(sim: Scheduler, world: SimulatedWorld, copies: Copy[]): void {
  const names = new Set<string>();
  world.watch.whenDiskWritten((disk) => {
    if (disk.name !== DISK || disk.owner !== newActor(OWNER).uid) return;
    const backups = disk.snapshots.filter(({ completed }) => completed);
    const [oldest] = backups;
    if (!oldest || backups.length < 4 || names.has(oldest.id) || copies.length >= MOST_COPIES) return;
    names.add(oldest.id);
    const ids = { id: `judy-${copies.length}`, uid: formatUid(copies.length) };
    const copy: Copy = { name: `copy-${copies.length}`, snapshotId: oldest.id, ids, isMade: false };
    copies.push(copy);
    repeat(sim, world, copy);
  });
}

function formatUid(n: number): string {
  return `${n + 1}`.padStart(32, "c");
}

function repeat(sim: Scheduler, world: SimulatedWorld, copy: Copy | undefined): void {
  if (!copy || copy.isMade) return;
  const { name, snapshotId, ids } = copy;
  asUser(sim, world, OWNER, `restore ${snapshotId} as ${name}`, async (ctx) => {
    const { disk } = await getDisk(ctx, DISK);
    if (!disk.snapshots.some(({ id }) => id === snapshotId)) throw new Error("The snapshot is no longer listed");
    await restoreDisk(ctx, DISK, { snapshotId, newName: name }, ids);
    copy.isMade = true;
    world.answered.restores.push(ids.uid);
  });
}

function shortJob(
  sim: Scheduler,
  world: SimulatedWorld,
  id: string,
  from: number,
  disk: () => string | undefined,
): ClientAction[] {
  const at = from + sim.random() * 0.2 * APART_MS;
  // Repeats the cancel until it succeeds.
  const cancels = [25_000 + sim.random() * 8_000, 45_000, 90_000, 150_000];
  const submit = () => {
    const name = disk();
    if (name === undefined) return;
    const job = newEnvironment(id, { gpus: 1, hours: 0.1, disk: name });
    asUser(sim, world, OWNER, `submit ${id}`, (ctx) => createEnvironment(ctx, job));
  };
  return [
    { at, run: submit },
    // Repeats an unanswered submit. An answered one is refused.
    { at: at + 2_000, run: submit },
    ...cancels.map((later) => ({
      at: at + later,
      run: () => asUser(sim, world, OWNER, `cancel ${id}`, (ctx) => requestCancel(ctx, id)),
    })),
  ];
}

/** Requests snapshots during a job, between jobs, and during a backup. */
function snapshotsOnDemand(sim: Scheduler, world: SimulatedWorld, start: number, count: number): ClientAction[] {
  return Array.from({ length: count }, (_, n) => {
    const input = { id: `judy-snapshot-${n}`, isRepeat: n % 2 === 1 };
    const run = () => asUser(sim, world, OWNER, "snapshot disk", (ctx) => requestSnapshot(ctx, DISK, input));
    return { at: start + APART_MS + n * 0.7 * APART_MS, run };
  });
}

/** Loses a random backup, possibly the source of a restore. */
function loseOne(sim: Scheduler, world: SimulatedWorld): void {
  const backups = findOrigin(world)?.snapshots ?? [];
  if (backups.length > 0) loseBackup(sim, world, sim.pick(backups).id);
}

function findOrigin(world: SimulatedWorld): Disk | undefined {
  return [...world.watch.disks().values()].find(({ name }) => name === DISK);
}
