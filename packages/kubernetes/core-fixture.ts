import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import type { UserContext } from "#core/context.ts";
import type { Disk } from "#core/disks/record.ts";
import { getDisk } from "#core/disks/view.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { environmentKey } from "#core/keys.ts";
import { refreshCapacity } from "#core/pools/capacity.ts";
import { planPools } from "#core/pools/planner.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { Volumes } from "#core/ports/volumes.ts";
import { reconcile } from "#core/reconcile.ts";
import type { Settings } from "#core/settings.ts";
import { sweep } from "#core/sweep.ts";
import { followChanges } from "#core/watch.ts";
import type { WorkerContext } from "#core/worker.ts";
import { silentLog } from "#testing/log.ts";
import { memoryBlobs } from "#testing/memory-blobs.ts";
import { memoryGithubKeys } from "#testing/memory-github-keys.ts";
import { memoryQueue } from "#testing/memory-queue.ts";
import { memorySealer } from "#testing/memory-sealer.ts";
import { memoryTable } from "#testing/memory-table.ts";
import { memoryVolumes } from "#testing/memory-volumes.ts";
import { actorOf, newEnvironment } from "#testing/memory-world.ts";
import { testSettings } from "#testing/settings.ts";

/** The core at work on a cluster, its records in memory. */
export interface CoreFixture {
  readonly ctx: WorkerContext;
  /** A request of the one user. */
  readonly as: UserContext<"table" | "queue" | "sealer" | "volumes" | "compute" | "blobs">;
  create(id: string, options: Parameters<typeof newEnvironment>[1] & { readonly image?: string }): Promise<void>;
  until(id: string, holds: (environment: Environment) => boolean): Promise<Environment>;
  untilDisk(name: string, holds: (disk: Disk) => boolean): Promise<Disk>;
  /** Puts the time behind it in which a worker that slept could still start it: until then it gives nothing back. */
  begun(id: string): Promise<void>;
  /** Puts the core's clock forward, not the cluster's. */
  skip(ms: number): void;
  stop(): Promise<void>;
}

/** By the real clock; `volumes` in memory unless they are given. */
export async function startCore(
  compute: Compute,
  given?: Volumes,
  settings: Partial<Settings> = {},
): Promise<CoreFixture> {
  let ahead = 0;
  const real = systemClock();
  const clock: Clock = { ...real, now: () => real.now() + ahead, monotonic: () => real.monotonic() + ahead };
  const [table, queue, blobs] = [memoryTable(), memoryQueue({ clock }), memoryBlobs()];
  const volumes = given ?? memoryVolumes({ clock, isMounted: () => false, blobs });
  const ports = { table, queue, compute, volumes, blobs, sealer: memorySealer(), githubKeys: memoryGithubKeys() };
  const ctx: WorkerContext = { ...ports, clock, ids: systemIds(), log: silentLog(), settings: testSettings(settings) };
  const as = { ...ctx, actor: actorOf("ada"), dialect: "gpu-dev", noun: "job" };
  const ending = new AbortController();
  const { signal } = ending;

  const deliver = async (name: "work" | "pools") => {
    for (const { id, look } of queue.receive(name, 1)) {
      if (name === "work") await reconcile(ctx, look);
      const again = name === "pools" ? await planPools(ctx, [look]) : [];
      if (again.length === 0) queue.acknowledge(name, id);
    }
  };
  const follow = async (each: () => Promise<unknown>, everyMs: number) => {
    while (!signal.aborted) {
      // As with a worker: what failed comes again, from the queue or with the next sweep.
      await each().catch(() => undefined);
      await sleep(everyMs, undefined, { signal }).catch(() => undefined);
    }
  };
  const loops = [
    // A node that was not ready at one moment, on a busy machine, is seen at the next.
    follow(() => refreshCapacity(ctx), 5_000),
    follow(() => deliver("work"), 10),
    follow(() => deliver("pools"), 10),
    follow(() => sweep(ctx), 1_000),
    followChanges(ctx, signal),
  ];
  const read = async (id: string): Promise<Environment> => {
    const item = await table.get(environmentKey(as.actor.uid, "gpu-dev", id));
    if (!item) throw new Error(`No environment ${id}`);
    return parseEnvironment(item);
  };
  const until: CoreFixture["until"] = async (id, holds) => {
    for (;;) {
      const environment = await read(id);
      if (holds(environment)) return environment;
      await sleep(20);
    }
  };
  const skip: CoreFixture["skip"] = (ms) => {
    ahead += ms;
  };
  return {
    ctx,
    as,
    until,
    skip,
    async create(id, { image, ...options }) {
      const wanted = newEnvironment(id, options);
      await createEnvironment(as, { ...wanted, image: image ?? "berth.test/any:1" });
    },
    async untilDisk(name, holds) {
      for (;;) {
        const { disk } = await getDisk(as, name);
        if (holds(disk)) return disk;
        await sleep(20);
      }
    },
    async begun(id) {
      await until(id, ({ run }) => run.noStartSince !== null);
      skip(60_000);
    },
    async stop() {
      ending.abort();
      await Promise.all(loops);
    },
  };
}

/** How many backups a disk has that are whole. */
export function backups({ snapshots }: Disk): number {
  return snapshots.filter(({ completed }) => completed).length;
}
