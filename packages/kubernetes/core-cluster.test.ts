import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import { passOnChanges } from "#core/changes.ts";
import { createEnvironment } from "#core/environments/create.ts";
import { parseEnvironment } from "#core/environments/parse.ts";
import type { Environment } from "#core/environments/record.ts";
import { requestCancel, requestExtension } from "#core/environments/requests.ts";
import { environmentKey } from "#core/keys.ts";
import { refreshCapacity } from "#core/pools/capacity.ts";
import { reconcilePools } from "#core/pools/planner.ts";
import { reconcile } from "#core/reconcile.ts";
import { sweep } from "#core/sweep.ts";
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
import { type ClusterTrial, openClusterTrial } from "./cluster-trial.ts";

/** What a run that may have been started gives back is given back 43 s later: twice that is not long on a busy machine. */
const LONGEST_MS = 300_000;

let trial: ClusterTrial;
let core: Awaited<ReturnType<typeof startCore>>;

beforeEach(async () => {
  trial = await openClusterTrial([{ name: "one", instanceType: "p5.48xlarge" }]);
  core = await startCore(trial);
});

afterEach(async () => {
  await core.stop();
  await trial.stop();
});

it("runs jobs to their ends, with log, exit code and words, and leaves nothing of them", {
  timeout: LONGEST_MS,
}, async () => {
  await core.create("done", { command: "echo hello; exit 0", env: { A: "b" }, gpus: 4 });
  await core.create("fails", { command: "exit 3", gpus: 1 });
  await core.create("typo", { command: "true", image: "berth.test/none:1", gpus: 1 });

  const [done, fails, typo] = await Promise.all([
    core.until("done", ({ phase }) => phase === "completed"),
    core.until("fails", ({ phase }) => phase === "failed"),
    core.until("typo", ({ phase }) => phase === "failed"),
  ]);

  expect(new TextDecoder().decode(await core.ctx.blobs.get(done.log?.blob ?? ""))).toBe("hello\n");
  expect(fails.reason).toContain("3");
  expect(typo.reason).toContain("Image not found");
  expect(await trial.compute.listRuns()).toEqual([]);
});

it("extends, then cancels a job, and starts the one that waited for its GPUs", { timeout: LONGEST_MS }, async () => {
  await core.create("first", { command: "while :; do sleep 1; done" });
  const first = await core.until("first", ({ phase }) => phase === "active");
  await core.create("second", { command: "while :; do sleep 1; done" });
  const waiting = await core.until("second", ({ phase }) => phase === "queued");
  await requestExtension(core.as, "first", 3_600_000);
  const extended = await core.until("first", ({ requests }) => requests.list.some(({ status }) => status === "done"));

  await requestCancel(core.as, "first");
  await core.until("first", ({ phase }) => phase === "cancelled");
  const second = await core.until("second", ({ phase }) => phase === "active");

  expect(first.run.machines).toMatchObject([{ name: "one", providerId: "aws:///us-east-1a/i-one", silent: null }]);
  expect(waiting.run.grant).toBeNull();
  expect(extended.times.endsAt).toBe((first.times.endsAt ?? 0) + 3_600_000);
  expect(await trial.compute.listRuns()).toMatchObject([{ uid: second.uid }]);
});

/** The core on memory ports and this cluster, by the real clock. */
async function startCore({ compute }: ClusterTrial) {
  const clock = systemClock();
  const [table, queue, blobs] = [memoryTable(), memoryQueue({ clock }), memoryBlobs()];
  const volumes = memoryVolumes({ clock, isMounted: () => false, blobs });
  const ports = { table, queue, compute, volumes, blobs, sealer: memorySealer(), githubKeys: memoryGithubKeys() };
  const ctx: WorkerContext = { ...ports, clock, ids: systemIds(), log: silentLog(), settings: testSettings() };
  const as = { ...ctx, actor: actorOf("ada"), dialect: "gpu-dev", noun: "job" };
  const ending = new AbortController();
  const { signal } = ending;

  const deliver = async (name: "work" | "pools") => {
    for (const { id, look } of queue.receive(name, 1)) {
      await (name === "work" ? reconcile(ctx, look) : reconcilePools(ctx, [look]));
      queue.acknowledge(name, id);
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
    passOnChanges(ctx, signal),
  ];
  const read = async (id: string): Promise<Environment> => {
    const item = await table.get(environmentKey(as.actor.uid, "gpu-dev", id));
    if (!item) throw new Error(`No environment ${id}`);
    return parseEnvironment(item);
  };
  return {
    ctx,
    as,
    async create(id: string, { image, ...options }: Parameters<typeof newEnvironment>[1] & { image?: string }) {
      const wanted = newEnvironment(id, options);
      await createEnvironment(as, { ...wanted, image: image ?? "berth.test/any:1" });
    },
    async until(id: string, holds: (environment: Environment) => boolean): Promise<Environment> {
      for (;;) {
        const environment = await read(id);
        if (holds(environment)) return environment;
        await sleep(20);
      }
    },
    async stop() {
      ending.abort();
      await Promise.all(loops);
    },
  };
}
