import type { Environment } from "#core/environments/record.ts";
import type { WorkerContext } from "#core/worker.ts";
import { keyCheck } from "#http/key-check.ts";
import { seededIds } from "../ids.ts";
import { silentLog } from "../log.ts";
import { memoryBlobs } from "../memory-blobs.ts";
import { memoryCompute } from "../memory-compute.ts";
import { memoryGithubKeys } from "../memory-github-keys.ts";
import { memoryQueue } from "../memory-queue.ts";
import type { Outcome } from "../memory-run.ts";
import { memorySealer } from "../memory-sealer.ts";
import { memoryTable } from "../memory-table.ts";
import { memoryVolumes } from "../memory-volumes.ts";
import { nodesOf } from "../memory-world.ts";
import { testSettings } from "../settings.ts";
import { faultyPorts } from "./faulty-ports.ts";
import type { Answered } from "./final.ts";
import { watch } from "./invariants.ts";
import type { Host, Scheduler } from "./scheduler.ts";

export type SimulatedWorld = ReturnType<typeof newWorld>;

const MINUTE = 60_000;
/** Hosts' clocks differ by less than what counts as a little early (packages/core/reconcile.ts). */
const MOST_APART_MS = 1_800;
/** A deleted disk is purged after three minutes, so that a schedule sees it. */
const RETENTION_DAYS = 0.002;

/** Two machines of 8 units, four hosts that differ, and what clients were told so far. */
export function newWorld(sim: Scheduler, seed: number) {
  const clock = { now: () => Math.round(sim.time()), monotonic: () => Math.round(sim.time()) };
  const late = sim.random() < 0.5 ? 90_000 * sim.random() : 0;
  const table = memoryTable({ clock, random: sim.random, indexLatenessMs: late, sharesItems: true });
  const queue = memoryQueue({ clock, visibilitySeconds: 60 });
  const delays = { bindMs: 2000, imageMs: 3000, probeMs: 1000, removeMs: 1500 };
  const compute = memoryCompute({ clock, nodes: nodesOf({ h100: 2 }), ...(sim.random() < 0.7 ? delays : {}) });
  const snapshotMs = sim.random() * sim.random() * 100_000;
  const volumes = memoryVolumes({ clock, isMounted: (id) => compute.mounting(id).length > 0, snapshotMs });
  const watched = watch({ table, compute, volumes }, sim.time, (environment) => decideFate(sim, compute, environment));
  const settings = testSettings({ preparingMinutes: 3, diskRetentionDays: RETENTION_DAYS });
  const ids = seededIds(seed, clock);
  const sealer = memorySealer();
  const blobs = memoryBlobs();
  const githubKeys = memoryGithubKeys();
  const hosts = [1, 2, 3, 4].map((n) => sim.newHost(`host-${n}`, (sim.random() - 0.5) * MOST_APART_MS));
  const contexts = new Map<Host, WorkerContext>(
    hosts.map((host) => {
      const ports = faultyPorts(sim, host, {
        queue,
        table: watched.table,
        compute: watched.compute,
        volumes: watched.volumes,
      });
      return [host, { ...ports, blobs, sealer, githubKeys, clock: host.clock, ids, log: silentLog(), settings }];
    }),
  );
  const checks = new Map(
    hosts.map((host) => {
      const { table: seen = table } = contexts.get(host) ?? {};
      return [host, keyCheck({ table: seen, ids, clock: host.clock, settings })];
    }),
  );
  const answered: Answered = { submits: [], cancels: [], extensions: new Map(), undeletes: [] };
  return { watch: watched, table, queue, compute, volumes, hosts, contexts, checks, answered, nextSweep: sim.time() };
}

/** What becomes of an environment's run, and whether its command ignores SIGTERM. */
function decideFate(sim: Scheduler, compute: ReturnType<typeof memoryCompute>, { uid }: Environment): void {
  const ignoresTerm = sim.random() < 0.2;
  const afterMs = sim.random() * 3 * MINUTE;
  const fates: Outcome[] = [
    { kind: "lives" },
    { kind: "lives" },
    { kind: "lives" },
    { kind: "exits", code: 0, afterMs },
    { kind: "exits", code: 2, afterMs },
    { kind: "killed", signal: "SIGKILL", afterMs },
    { kind: "imageFails", reason: "Image not found" },
    { kind: "neverBinds", reason: "0/2 nodes are available" },
  ];
  compute.program(uid, sim.pick(fates), { ignoresTerm });
}
