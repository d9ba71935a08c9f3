import type { Actor, Context, UserContext } from "#core/context.ts";
import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { createEnvironment } from "#core/environments/verbs/create.ts";
import { instanceTypeOfPool, unitsPerNode } from "#core/fleet.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import type { ComputeNode } from "#core/ports/compute.ts";
import type { Log } from "#core/ports/log.ts";
import type { QueueName } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import type { WorkerContext } from "#core/reconciler/step.ts";
import { sweep, sweepDeliveries, sweepDisks } from "#core/reconciler/sweep.ts";
import { environmentKey } from "#core/store/keys.ts";
import { deliver as deliverWebhook } from "#core/webhooks/deliver.ts";
import type { FormatBody } from "#core/webhooks/event.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import type { Served } from "#http/runtime.ts";
import { type MemoryBlobs, memoryBlobs } from "../fakes/memory-blobs.ts";
import { type MemoryCompute, memoryCompute } from "../fakes/memory-compute.ts";
import { type MemoryFetch, memoryFetch } from "../fakes/memory-fetch.ts";
import { type MemoryGithubKeys, memoryGithubKeys } from "../fakes/memory-github-keys.ts";
import { type MemoryMachineGroups, memoryMachineGroups } from "../fakes/memory-machine-groups.ts";
import { type MemoryQueue, memoryQueue } from "../fakes/memory-queue.ts";
import type { AccessOptions, StepDelays } from "../fakes/memory-run.ts";
import { memorySealer } from "../fakes/memory-sealer.ts";
import { type MemoryTable, memoryTable } from "../fakes/memory-table.ts";
import { type MemoryVolumes, memoryVolumes } from "../fakes/memory-volumes.ts";
import { type Carrier, carriedQueue } from "../faults/carried-queue.ts";
import { type ManualClock, manualClock } from "../fixtures/clock.ts";
import { seededIds } from "../fixtures/ids.ts";
import { silentLog } from "../fixtures/log.ts";
import { testSettings } from "../fixtures/settings.ts";

export interface MemoryWorld {
  readonly clock: ManualClock;
  readonly table: MemoryTable;
  readonly queue: MemoryQueue;
  readonly compute: MemoryCompute;
  readonly volumes: MemoryVolumes;
  readonly blobs: MemoryBlobs;
  readonly githubKeys: MemoryGithubKeys;
  readonly machineGroups: MemoryMachineGroups;
  readonly fetch: MemoryFetch;
  readonly ctx: Served<WorkerContext & Context<"fetch" | "machineGroups">>;
  /** Returns the context of a request by this user. */
  as(
    name: string,
  ): UserContext<"table" | "queue" | "sealer" | "volumes" | "compute" | "blobs" | "fetch" | "machineGroups">;
  /** Delivers all visible messages, and those that they cause. */
  deliver(): Promise<void>;
  /** Moves time on, and delivers messages and runs both schedules in order. */
  advance(ms: number): Promise<void>;
  read(owner: string, id: string): Promise<Environment>;
}

export interface WorldOptions {
  readonly nodes?: readonly ComputeNode[];
  readonly settings?: Partial<ServedSettings>;
  /** Start of its clock in ms since the epoch, by default on 20 January 2026. */
  readonly startAt?: number;
  readonly delays?: Partial<StepDelays>;
  readonly access?: Partial<AccessOptions>;
  readonly log?: Log;
  /** Whether a removal leaves tombstones, so that GPUs are free at once. Default: true. */
  readonly leavesTombstones?: boolean;
  /** Whether the command of a run of several machines waits for `begin`. Default: false. */
  readonly gates?: boolean;
  readonly snapshotMs?: number;
  /** Whether a mounted volume can have a snapshot. Default: true. */
  readonly snapshotsInUse?: boolean;
  /** Duration of an archive of a volume. */
  readonly archiveMs?: number;
  /** Number of visible messages above which the sweep counts a queue as deep. */
  readonly deepestQueue?: number;
  /** New volumes and snapshots are not listed before this time. */
  readonly listedAfterMs?: number;
  /** Formats deliveries to receivers, by default as number, phase, step and reason of the event. */
  readonly bodyOf?: FormatBody;
  /** Changes of runs are signalled, unless said. */
  readonly signals?: false;
  /** Table instead of memory, which cannot list `all` records. */
  readonly table?: Table;
  /** Transformation of each message before its delivery; nothing, unless said. */
  readonly carrier?: Carrier;
}

/** The whole core on memory ports with a settable clock and no faults: one worker, messages in their order. */
export async function memoryWorld(options: WorldOptions = {}): Promise<MemoryWorld> {
  const clock: ManualClock = { ...manualClock(options.startAt), sleep: (ms) => advance(ms) };
  const table = options.table ? { ...options.table, all: allOfForeign } : memoryTable({ sharesItems: "frozen" });
  const { carrier } = options;
  const queue = carrier ? carriedQueue({ clock, carrier }) : memoryQueue({ clock });
  const { nodes = newNodes({ h100: 2 }), access = {}, leavesTombstones = true, gates = false } = options;
  const compute = memoryCompute({ clock, nodes, access, leavesTombstones, gates, ...options.delays });
  const isMounted = (id: string) => compute.mounting(id).length > 0;
  const blobs = memoryBlobs();
  const { snapshotMs = 0, archiveMs = 0, listedAfterMs = 0, snapshotsInUse } = options;
  const times = { snapshotMs, archiveMs, listedAfterMs, snapshotsInUse };
  const volumes = memoryVolumes({ clock, isMounted, detach: compute.detach, blobs, ...times });
  const settings = testSettings(options.settings);
  const ids = seededIds(7, clock);
  const log = options.log ?? silentLog();
  const githubKeys = memoryGithubKeys();
  const machineGroups = memoryMachineGroups();
  const fetch = memoryFetch();
  const ports = { table, queue, compute, machineGroups, githubKeys, volumes, blobs, sealer: memorySealer(), fetch };
  const ctx: Served<WorkerContext & Context<"fetch" | "machineGroups">> = { ...ports, clock, ids, log, settings };
  let nextSweep = clock.now();

  async function signalChanges(): Promise<void> {
    const changed = compute.takeChanged();
    if (options.signals === false) return;
    for (const { key } of changed) await queue.send("work", { look: key, hint: true });
  }

  async function deliver(): Promise<void> {
    for (let delivered = 1; delivered > 0; ) {
      await signalChanges();
      delivered = (await deliverFrom("pools")) + (await deliverFrom("work")) + (await deliverFrom("webhooks"));
    }
  }

  async function deliverFrom(name: QueueName): Promise<number> {
    const messages = queue.receive(name, 10);
    const requests = messages.map((message) => message.look);
    const left = name === "pools" && requests.length > 0 ? await planPools(ctx, requests) : [];
    if (name === "work") for (const message of requests) await reconcile(ctx, message);
    if (name === "webhooks")
      for (const message of requests) await deliverWebhook(ctx, message, options.bodyOf ?? plainBody);
    for (const { id, look: message } of messages) if (!left.includes(message)) queue.acknowledge(name, id);
    if (left.length > 0) throw new Error(`not planned: ${left.map(({ look: recordKey }) => recordKey).join(", ")}`);
    return messages.length;
  }

  async function advance(ms: number): Promise<void> {
    const end = clock.now() + ms;
    await signalChanges();
    await deliver();
    const nearMs = ms >= FAR_MS ? NEAR_MS : FAR_MS;
    while (clock.now() < end) {
      const left = end - clock.now();
      const isFar = left > nearMs;
      const stepMs = left > FARTHEST_MS ? FARTHEST_STEP_MS : FAR_STEP_MS;
      const [nextWorkAt, plans, posts] = (["work", "pools", "webhooks"] as const).map(
        (name) => queue.nextAt(name) ?? end,
      );
      const workAt = Math.max(Math.min(nextWorkAt ?? end, plans ?? end), isFar ? clock.now() + stepMs : 0);
      const next = Math.min(end, nextSweep, compute.nextChangeAt(), workAt, posts ?? end);
      clock.advance(Math.max(0, next - clock.now()));
      await signalChanges();
      if (clock.now() >= nextSweep) {
        nextSweep += (isFar ? 3600 : settings.sweepSeconds) * 1000;
        await refreshCapacity(ctx);
        await sweep(ctx, options.deepestQueue);
        await sweepDisks(ctx, options.deepestQueue);
        await sweepDeliveries(ctx);
      }
      await deliver();
    }
  }

  await refreshCapacity(ctx);
  await deliver();
  return {
    clock,
    table,
    queue,
    compute,
    volumes,
    blobs,
    githubKeys,
    machineGroups,
    fetch,
    ctx,
    as: (name) => ({ ...ctx, actor: newActor(name), dialect: "gpu-dev", noun: "job" }),
    deliver,
    advance,
    read: async (owner, id) => {
      const item = await table.get(environmentKey(newActor(owner).uid, "gpu-dev", id));
      if (!item) throw new Error(`${owner} has no environment ${id}`);
      return parseEnvironment(item);
    },
  };
}

/** An event in the core's words. */
export const plainBody: FormatBody = ({ entry, environment }) => ({ id: environment.id, ...entry });

/**
 * Where more time than this is to pass, looks are dealt with in larger steps and sweeps come by the hour until it stops
 * soon: what is late costs time and nothing else, and here a pool, which has itself looked at every minute, would cost
 * more than all else.
 */
const FAR_MS = 6 * 3_600_000;
const NEAR_MS = 2 * 3_600_000;
const FAR_STEP_MS = 5 * 60_000;
const FARTHEST_MS = 48 * 3_600_000;
const FARTHEST_STEP_MS = 60 * 60_000;

function allOfForeign(): never {
  throw new Error("Only a table in memory shows all that it holds");
}

/** A user whose uid follows from the name. */
export function newActor(name: string): Actor {
  const uid = Buffer.from(name).toString("hex").padEnd(32, "0").slice(0, 32);
  return { uid, username: name, number: 1, keyPrefix: "testtest", keyHash: "0".repeat(64), isAdmin: false };
}

/** Ready machines in one zone, so many for each pool, named `<pool>-<n>`. */
export function newNodes(counts: Readonly<Record<string, number>>): ComputeNode[] {
  return Object.entries(counts).flatMap(([pool, count]) =>
    Array.from({ length: count }, (_, n) => ({
      name: `${pool}-${n + 1}`,
      uid: `node-${pool}-${n + 1}`,
      providerId: `memory:///zone-a/${pool}-${n + 1}`,
      instanceType: instanceTypeOfPool(pool).name,
      zone: "zone-a",
      ready: true,
      units: unitsPerNode(instanceTypeOfPool(pool)),
      foreignUnits: 0,
    })),
  );
}

type NewEnvironment = Parameters<typeof createEnvironment>[1];

/** What to create: an environment of so many GPUs of one machine (or of two), with nothing to run unless it says so. */
export function newEnvironment(
  id: string,
  options: {
    pool?: string;
    gpus?: number;
    hours?: number;
    command?: string;
    env?: Record<string, string>;
    disk?: string | undefined;
  } = {},
): NewEnvironment {
  const { pool = "h100", gpus = 8, hours = 1, command, env = {} } = options;
  const disk = options.disk === undefined ? undefined : { name: options.disk, sizeGb: 100 };
  const type = instanceTypeOfPool(pool);
  const machines = Math.max(1, Math.ceil(gpus / unitsPerNode(type)));
  const units = gpus === 0 ? 1 : gpus / machines;
  const size = { pool, instanceType: type.name, machines, units, gpus, wantedMs: Math.round(hours * 3_600_000) };
  return { id, name: id, labels: {}, size, image: "pytorch/pytorch:2.1.0", command, env, disk };
}
