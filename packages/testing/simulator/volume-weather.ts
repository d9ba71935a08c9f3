import { isEnded } from "#core/environments/record.ts";
import type { ClientAction } from "./clients.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedWorld } from "./world.ts";

const losses = { "a disk's volume": diskVolume, "an environment's own volume": ownVolume, "a backup": backup } as const;

/** Volumes and backups that fail for good, in use or not, or that somebody with a console deletes. */
export function volumeWeather(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const count = sim.random() < 0.7 ? 1 : 2;
  return Array.from({ length: count }, () => {
    const what = sim.pick(Object.keys(losses) as (keyof typeof losses)[]);
    const at = sim.time() + sim.random() * (until - sim.time());
    return { at, run: () => losses[what](sim, world) };
  });
}

function diskVolume(sim: Scheduler, world: SimulatedWorld): void {
  loseOne(
    sim,
    world,
    [...world.watch.disks().values()].flatMap(({ volume }) => volume?.id ?? []),
  );
}

function ownVolume(sim: Scheduler, world: SimulatedWorld): void {
  const living = [...world.watch.environments().values()].filter((environment) => !isEnded(environment));
  loseOne(
    sim,
    world,
    living.flatMap(({ volumes }) => volumes.flatMap(({ volume }) => volume?.id ?? [])),
  );
}

/** Any of them, the newest or one that a restore is being made from as well. */
function backup(sim: Scheduler, world: SimulatedWorld): void {
  const snapshots = [...world.watch.disks().values()].flatMap((disk) => disk.snapshots);
  if (snapshots.length === 0) return;
  loseBackup(sim, world, sim.pick(snapshots).id);
}

function loseOne(sim: Scheduler, world: SimulatedWorld, ids: readonly string[]): void {
  const there = ids.filter((id) => world.volumes.contentOf(id) !== undefined);
  if (there.length > 0) loseVolume(sim, world, sim.pick(there));
}

export function loseBackup(sim: Scheduler, world: SimulatedWorld, id: string): void {
  sim.tell("weather", `snapshot ${id} is lost`);
  world.volumes.loseSnapshot(id);
  world.watch.reached.note("a backup lost");
}

/** From one moment to the next, whoever has it mounted. */
export function loseVolume(sim: Scheduler, world: SimulatedWorld, id: string): void {
  sim.tell("weather", `volume ${id} is lost`);
  const isMounted = world.compute.mounting(id).length > 0;
  world.volumes.loseVolume(id);
  world.watch.reached.note(isMounted ? "a volume lost while it was mounted" : "a volume lost while nobody had it");
}
