import { createEnvironment } from "#core/environments/create.ts";
import { requestCancel } from "#core/environments/requests.ts";
import { newEnvironment } from "../memory-world.ts";
import { asUser } from "./as-user.ts";
import type { ClientAction } from "./clients.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedWorld } from "./world.ts";

const OWNER = "ivan";
const DISK = "worn";
const APART_MS = 40_000;

/** One disk through many short jobs, each of which leaves a backup; its volume, and some backups, fail on the way. */
export function wornDiskActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const start = sim.time();
  const actions: ClientAction[] = [];
  const count = 4 + Math.floor(sim.random() * 3);
  for (let n = 1; n <= count; n++) {
    const id = `worn-${n}`;
    const at = start + (n - 1 + sim.random() * 0.2) * APART_MS;
    const job = newEnvironment(id, { gpus: 1, hours: 0.1, disk: DISK });
    actions.push({ at, run: () => asUser(sim, world, OWNER, `submit ${id}`, (ctx) => createEnvironment(ctx, job)) });
    // Asked for until somebody has heard it.
    for (const later of [12_000 + sim.random() * 10_000, 60_000, 120_000]) {
      actions.push({
        at: at + later,
        run: () => asUser(sim, world, OWNER, `cancel ${id}`, (ctx) => requestCancel(ctx, id)),
      });
    }
  }
  for (let losses = Math.floor(sim.random() * 3); losses > 0; losses--) {
    actions.push({ at: start + sim.random() * count * APART_MS, run: () => void loseVolume(sim, world) });
  }
  if (sim.random() < 0.4) {
    const at = start + sim.random() * count * APART_MS;
    actions.push({ at, run: () => world.volumes.failSnapshotsLater(1 + Math.floor(sim.random() * 2)) });
  }
  return actions;
}

/** A volume that no machine has fails for good: what is left of its disk are the backups. */
async function loseVolume(sim: Scheduler, world: SimulatedWorld): Promise<void> {
  const volume = [...world.watch.disks().values()].find(({ name }) => name === DISK)?.volume;
  if (!volume || world.compute.mounting(volume.id).length > 0) return;
  sim.tell("EC2", `loses ${volume.id}`);
  await world.volumes.removeVolume(volume.id);
}
