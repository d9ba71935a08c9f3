import { GONE_MS } from "#core/disks/absence.ts";
import type { Disk } from "#core/disks/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import type { ClientAction } from "../clients/clients.ts";
import type { Copy } from "../clients/restore-clients.ts";
import { asUser } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { loseVolume } from "./volume-weather.ts";

interface Restorers {
  readonly owner: string;
  /** Disk of the snapshots. */
  readonly disk: string;
  readonly copies: readonly Copy[];
  readonly shortJob: (
    sim: Scheduler,
    world: SimulatedWorld,
    id: string,
    from: number,
    disk: () => string | undefined,
  ) => ClientAction[];
}

const MINUTE = 60_000;
const LONGEST_HIDDEN_MS = 20 * MINUTE;

const bouts = [undefined, hide, hideAndLeave, loseFirstVolume] as const;

/**
 * Applies at most one fault to the source of a restore, or to the first volume of the restored disk, after `at`. Later
 * jobs use both disks, so the snapshot would be thinned out.
 */
export function sourceActions(sim: Scheduler, world: SimulatedWorld, users: Restorers, at: number): ClientAction[] {
  const bout = sim.pick(bouts);
  if (!bout) return [];
  world.watch.latency.excuse();
  const { disk, copies, shortJob } = users;
  const later = at + LONGEST_HIDDEN_MS + 5 * MINUTE;
  const copy = () => copies.find(({ isMade }) => isMade)?.name;
  return [
    ...bout(sim, world, users),
    ...[1, 2, 3].flatMap((n) => shortJob(sim, world, `later-${n}`, later + n * MINUTE, () => disk)),
    // The first reconcile misses the source. The second comes when its absence counts.
    ...[1, 2].flatMap((n) => shortJob(sim, world, `copied-${n}`, later + n * (GONE_MS + 2 * MINUTE), copy)),
  ];
}

/** Hides the snapshot from lists and reads after the promise. */
function hide(sim: Scheduler, world: SimulatedWorld, users: Restorers): ClientAction[] {
  const forMs = sim.random() * LONGEST_HIDDEN_MS;
  whenPromised(world, users, (id) => hideSource(sim, world, id, forMs));
  return [];
}

/**
 * One reconcile misses the snapshot, then the volumes are unavailable until its absence would count. It exists all the
 * time.
 */
function hideAndLeave(sim: Scheduler, world: SimulatedWorld, users: Restorers): ClientAction[] {
  const awayMs = GONE_MS + (1 + sim.random() * 3) * MINUTE;
  let source: string | undefined;
  let isAway = false;
  whenPromised(world, users, (id) => {
    source = id;
    hideSource(sim, world, id, 3 * MINUTE);
  });
  world.watch.whenDiskWritten(({ name, snapshots }) => {
    const isMissed = snapshots.some(({ id, missedAt }) => missedAt !== undefined && id === source);
    if (isAway || name !== users.disk || !isMissed) return;
    isAway = true;
    hideSource(sim, world, source ?? "", 0);
    world.away.set("volumes", sim.time() + awayMs);
    world.watch.reached.note("a snapshot missed once, and then nobody could look");
    sim.tell("weather", `the volumes are away for ${Math.round(awayMs)} ms`);
  });
  return [];
}

/** Loses the first volume once it is recorded, often before a run uses it. */
function loseFirstVolume(sim: Scheduler, world: SimulatedWorld, { owner, copies }: Restorers): ClientAction[] {
  const isCopy = ({ name, volume, source }: Disk) =>
    volume !== null && source !== undefined && copies.some((copy) => copy.name === name);
  let isLost = false;
  world.watch.whenDiskWritten((disk) => {
    if (isLost || !isCopy(disk)) return;
    isLost = true;
    loseVolume(sim, world, disk.volume?.id ?? "");
    world.watch.reached.note("the first volume of a copy lost");
    const { id = "" } = disk.heldBy ?? {};
    asUser(sim, world, owner, `cancel ${id}`, (ctx) => requestCancel(ctx, id));
  });
  return [];
}

/** Calls `work` with the first snapshot of which a restore was promised, at that write. */
function whenPromised(world: SimulatedWorld, { disk }: Restorers, work: (snapshotId: string) => void): void {
  let isPromised = false;
  world.watch.whenDiskWritten(({ name, restores }) => {
    const [first] = restores ?? [];
    if (isPromised || name !== disk || !first) return;
    isPromised = true;
    work(first.snapshot);
  });
}

function hideSource(sim: Scheduler, world: SimulatedWorld, id: string, forMs: number): void {
  sim.tell("weather", `snapshot ${id} is hidden for ${Math.round(forMs)} ms`);
  world.volumes.hideSnapshot(id, forMs);
  world.watch.reached.note("a snapshot hidden");
}
