import type { Disk } from "#core/disks/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { newEnvironment } from "../../worlds/memory-world.ts";
import { asUser } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import { loseBackup, loseVolume } from "../weather/volume-weather.ts";
import type { SimulatedWorld } from "../world.ts";
import type { ClientAction } from "./clients.ts";

const OWNER = "ivan";
const DISK = "worn";
const APART_MS = 40_000;

/** Runs many short jobs with one disk, so each leaves a backup. Its volume and some backups fail. */
export function wornDiskActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const count = 4 + Math.floor(sim.random() * 3);
  const until = start + count * APART_MS;
  const actions: ClientAction[] = [];
  for (let n = 1; n <= count; n++) actions.push(...shortJob(sim, world, n, start + (n - 1) * APART_MS));
  for (let losses = Math.floor(sim.random() * 3); losses > 0; losses--) {
    actions.push({ at: start + sim.random() * (until - start), run: () => loseUnused(sim, world) });
  }
  if (sim.random() < 0.4) {
    const at = start + sim.random() * (until - start);
    // A snapshot that fails before anyone sees it pending uses up an attempt. After three, the disk is released.
    const afterMs = sim.random() < 0.5 ? 0 : undefined;
    actions.push({ at, run: () => world.volumes.failSnapshotsLater(1 + Math.floor(sim.random() * 3), afterMs) });
  }
  if (world.isLong) actions.push(...restore(sim, world, count + 1, start + OLD_MS));
  return actions;
}

/**
 * After this time a created volume is surely listed (packages/core/reconciler/pending-creates.ts), so a missing one is
 * gone.
 */
const OLD_MS = 13 * 60_000;

/** Loses the volume, and often the newest backup. The next jobs use the latest backup that is left. */
function restore(sim: Scheduler, world: SimulatedWorld, n: number, at: number): ClientAction[] {
  const losses: ClientAction[] = [{ at, run: () => loseUnused(sim, world) }];
  if (sim.random() < 0.4) losses.push({ at: at + sim.random() * APART_MS, run: () => loseNewestBackup(sim, world) });
  return [
    ...losses,
    ...shortJob(sim, world, n, at + sim.random() * 10_000),
    ...shortJob(sim, world, n + 1, at + 2 * APART_MS),
  ];
}

function shortJob(sim: Scheduler, world: SimulatedWorld, n: number, from: number): ClientAction[] {
  const id = `worn-${n}`;
  const at = from + sim.random() * 0.2 * APART_MS;
  const job = newEnvironment(id, { gpus: 1, hours: 0.1, disk: DISK });
  // Repeats the cancel until it succeeds.
  const cancels = [12_000 + sim.random() * 10_000, 60_000, 120_000];
  return [
    { at, run: () => asUser(sim, world, OWNER, `submit ${id}`, (ctx) => createEnvironment(ctx, job)) },
    ...cancels.map((later) => ({
      at: at + later,
      run: () => asUser(sim, world, OWNER, `cancel ${id}`, (ctx) => requestCancel(ctx, id)),
    })),
  ];
}

/** Loses the volume while no machine uses it. Only the backups are left. */
function loseUnused(sim: Scheduler, world: SimulatedWorld): void {
  const volume = findDisk(world)?.volume;
  if (volume && world.compute.mounting(volume.id).length === 0) loseVolume(sim, world, volume.id);
}

function loseNewestBackup(sim: Scheduler, world: SimulatedWorld): void {
  const newest = findDisk(world)?.snapshots.at(-1);
  if (newest) loseBackup(sim, world, newest.id);
}

function findDisk(world: SimulatedWorld): Disk | undefined {
  return [...world.watch.disks().values()].find(({ name }) => name === DISK);
}
