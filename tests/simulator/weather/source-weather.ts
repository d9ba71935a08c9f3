import { GONE_MS } from "#core/disks/absence.ts";
import type { Disk } from "#core/disks/record.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import type { ClientAction } from "../clients/clients.ts";
import type { Copy } from "../clients/restore-clients.ts";
import { asUser } from "../planted/as-user.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { loseVolume } from "./volume-weather.ts";

/** Users who restore disks from snapshots. */
interface Restorers {
  readonly owner: string;
  /** The disk whose snapshots they are. */
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
 * What befalls the snapshot that a disk is made of, or that disk's first volume, after `at`: in each world one thing at
 * most. When it is over, the disk of the snapshot is used until that would be thinned out, and so is the one made of it.
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
    // What is missing is missed by the first of them; the second comes when that is believed.
    ...[1, 2].flatMap((n) => shortJob(sim, world, `copied-${n}`, later + n * (GONE_MS + 2 * MINUTE), copy)),
  ];
}

/** No list has it for a while from the promise on, and nobody finds it. */
function hide(sim: Scheduler, world: SimulatedWorld, users: Restorers): ClientAction[] {
  const forMs = sim.random() * LONGEST_HIDDEN_MS;
  whenPromised(world, users, (id) => hideSource(sim, world, id, forMs));
  return [];
}

/** One look misses it, and then nobody can look for as long as makes it gone; it was there all the time. */
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

/** As soon as it is written down, and often before a run is made with it. */
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

/** Does this with the first snapshot that somebody was promised a disk of, at the write of that. */
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
