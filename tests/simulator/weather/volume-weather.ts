import { isEnded } from "#core/environments/record/record.ts";
import type { ClientAction } from "../clients/clients.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

const losses = { "a disk's volume": diskVolume, "an environment's own volume": ownVolume, "a backup": backup } as const;

/** Delay until EC2 lists a new volume or snapshot. In few worlds, snapshots take far longer than a claim lasts. */
const LATEST_LISTED_MS = { volume: 30_000, snapshot: 300_000 };
const VERY_LATE = 0.85;
/** In few worlds, a snapshot is pending ten times as long. */
const MOST_PENDING_MS = 100_000;
const VERY_LONG = 0.75;
/** Longer than a deletion waits for an archive. */
const MOST_ARCHIVE_MS = 120_000;
/**
 * Above this share, an archive never ends by itself: its machine is lost, and it keeps the volume until it is ended.
 */
const ENDLESS = 0.7;

/** Durations of volume calls in a world, in ms. */
export interface VolumeTimes {
  readonly snapshotMs: number;
  readonly archiveMs: number;
  readonly listedAfterMs: number;
  /** Defaults to the value for volumes. */
  readonly snapshotListedAfterMs?: number;
}

export function drawnVolumes(sim: Scheduler): VolumeTimes {
  const share = sim.random() * sim.random();
  const listedLate = sim.random() < 0.3 ? sim.random() : 0;
  const listedAfterMs = listedLate * LATEST_LISTED_MS.volume;
  return {
    snapshotMs: sim.random() < 0.5 ? sim.random() * 2_000 : share * MOST_PENDING_MS * (share > VERY_LONG ? 10 : 1),
    archiveMs: sim.random() < 0.7 ? 0 : drawnArchive(sim.random()),
    listedAfterMs,
    snapshotListedAfterMs: listedLate > VERY_LATE ? sim.random() * LATEST_LISTED_MS.snapshot : listedAfterMs,
  };
}

function drawnArchive(share: number): number {
  return share > ENDLESS ? Number.POSITIVE_INFINITY : share * MOST_ARCHIVE_MS;
}

/** Volumes and backups fail permanently, or a user deletes them in the console, in use or not. */
export function volumeWeather(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const count = sim.random() < 0.7 ? 1 : 2;
  return Array.from({ length: count }, () => {
    const subject = sim.pick(Object.keys(losses) as (keyof typeof losses)[]);
    const at = sim.time() + sim.random() * (until - sim.time());
    return { at, run: () => losses[subject](sim, world) };
  });
}

const LONGEST_REFUSAL_MS = 6 * 60_000;

/** Refuses all snapshots for minutes, as by an account's limit or throttling. This may outlast other faults. */
export function refusedSnapshots(sim: Scheduler, world: SimulatedWorld, until: number): ClientAction[] {
  const at = sim.time() + sim.random() * (until - sim.time());
  const end = at + sim.random() * LONGEST_REFUSAL_MS;
  const refuse = (count: number, word: string) => () => {
    sim.tell("weather", `snapshots are ${word}`);
    world.volumes.failSnapshots(count);
  };
  return [
    { at, run: refuse(Number.POSITIVE_INFINITY, "refused") },
    { at: end, run: refuse(0, "made again"), isNeeded: true },
  ];
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

/** Loses a random backup, possibly the newest or the source of a restore. */
function backup(sim: Scheduler, world: SimulatedWorld): void {
  const snapshots = [...world.watch.disks().values()].flatMap((disk) => disk.snapshots);
  if (snapshots.length === 0) return;
  loseBackup(sim, world, sim.pick(snapshots).id);
}

function loseOne(sim: Scheduler, world: SimulatedWorld, ids: readonly string[]): void {
  const there = ids.filter((id) => world.volumes.findContent(id) !== undefined);
  if (there.length > 0) loseVolume(sim, world, sim.pick(there));
}

export function loseBackup(sim: Scheduler, world: SimulatedWorld, id: string): void {
  sim.tell("weather", `snapshot ${id} is lost`);
  world.volumes.loseSnapshot(id);
  world.watch.reached.note("a backup lost");
}

export function loseVolume(sim: Scheduler, world: SimulatedWorld, id: string): void {
  sim.tell("weather", `volume ${id} is lost`);
  const isMounted = world.compute.mounting(id).length > 0;
  world.volumes.loseVolume(id);
  world.watch.reached.note(isMounted ? "a volume lost while it was mounted" : "a volume lost while nobody had it");
}
