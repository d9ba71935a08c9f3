import type { Context } from "#core/context.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Compute, ComputeNode } from "#core/ports/compute.ts";
import type { Queue } from "#core/ports/queue.ts";
import type { WorkerContext } from "#core/reconciler/step.ts";
import type { DelivererContext } from "#core/webhooks/deliver.ts";
import { keyCheck } from "#http/keys/key-check.ts";
import { memoryBlobs } from "../fakes/memory-blobs.ts";
import { memoryCompute } from "../fakes/memory-compute.ts";
import { memoryGithubKeys } from "../fakes/memory-github-keys.ts";
import { memoryMachineGroups } from "../fakes/memory-machine-groups.ts";
import { memoryQueue } from "../fakes/memory-queue.ts";
import type { Outcome } from "../fakes/memory-run.ts";
import { memorySealer } from "../fakes/memory-sealer.ts";
import { type MemoryTable, memoryTable } from "../fakes/memory-table.ts";
import { memoryVolumes } from "../fakes/memory-volumes.ts";
import { manualClock } from "../fixtures/clock.ts";
import { seededIds } from "../fixtures/ids.ts";
import { silentLog } from "../fixtures/log.ts";
import { testSettings } from "../fixtures/settings.ts";
import { TALKING } from "./clients/chat-clients.ts";
import { fakeReceivers } from "./clients/fake-receivers.ts";
import type { Answered } from "./invariants/final.ts";
import { watch } from "./invariants/invariants.ts";
import { sweepRules } from "./invariants/sweep-rules.ts";
import type { Host, Scheduler } from "./scheduler.ts";
import { drawSurroundings, isThorough, type Surroundings } from "./surroundings.ts";
import { BLOCK, MOST_MADE } from "./weather/block.ts";
import { faultyPorts, type TruePorts } from "./weather/faulty-ports.ts";
import { type Hearsay, provider } from "./weather/machine-weather.ts";
import { type GroupState, listGroups, nodeGroup, sayingLacks } from "./weather/node-group.ts";
import { newNodeWatch } from "./weather/node-watch.ts";
import { readByNewer, type Versions, versionedTable } from "./weather/version-weather.ts";
import { type Away, type Part, whileThere } from "./weather/weather.ts";

const MINUTE = 60_000;
/** In every third world the cluster refuses tombstones, as a quota on Jobs does. */
const TOMBSTONES_REFUSED_EVERY = 3;

export type SimulatedWorld = ReturnType<typeof newWorld>;

/** A random world: two or four machines of 8 units, four hosts, and the requests that were answered. */
export function newWorld(sim: Scheduler, seed: number) {
  return createWorld(sim, seed, drawSurroundings(sim, seed));
}

export function createWorld(sim: Scheduler, seed: number, around: Surroundings) {
  const { nodes, late, isSlow, isLong, taken, snapshotMs, archiveMs, listedAfterMs, apartMs } = around;
  const clock = { ...manualClock(), now: () => Math.round(sim.time()), monotonic: () => Math.round(sim.time()) };
  const memory = memoryTable({
    clock,
    random: sim.random,
    indexLatenessMs: late,
    sharesItems: isThorough(seed) && !around.watch.isLarge ? "frozen" : "trusting",
  });
  const versions: Versions = { kinds: new Set(), newer: new Set(), writers: new Map() };
  const table: MemoryTable = {
    ...memory,
    all: () => (versions.kinds.size > 0 ? memory.all().map(readByNewer) : memory.all()),
  };
  const queue = memoryQueue({ clock, visibilitySeconds: 60 });
  const hasVolume = (id: string): boolean => volumes.findContent(id) !== undefined;
  const leavesTombstones = seed % TOMBSTONES_REFUSED_EVERY !== 0;
  const compute = memoryCompute({ clock, nodes, hasVolume, leavesTombstones, ...taken });
  const isMounted = (id: string) => compute.mounting(id).length > 0;
  const { detach } = compute;
  const listed = { listedAfterMs, snapshotListedAfterMs: around.snapshotListedAfterMs };
  const volumes = memoryVolumes({ clock, isMounted, detach, snapshotMs, archiveMs, ...listed });
  const decideOne = around.decide ?? ((_, environment) => decideFate(sim, compute, environment));
  const decide = (environment: Environment) => decideOne(compute, environment);
  const mostNodes = new Map((around.settings?.nodeGroups ?? []).map(({ pool, mostNodes: most }) => [pool, most]));
  const judged = {
    mostNodes,
    listedGroups: around.listed?.groups,
    maxQueueHours: around.settings.maxQueueHours,
    ...around.watch,
  };
  const watched = watch({ table: memory, compute, volumes }, sim.time, decide, sim.tell, sim, judged);
  // A late index delays waiting jobs and their grants. So do a zone without machines and the end of a block.
  if (late > 0 || around.zones || around.hasBlock) watched.latency.excuse();
  const settings = testSettings(around.settings);
  const ids = seededIds(seed, clock);
  const numbers = Array.from({ length: around.hostCount }, (_, n) => n + 1);
  const hosts = numbers.map((n) => sim.newHost(`host-${n}`, (sim.random() - 0.5) * apartMs));
  const webhooks = fakeReceivers(sim);
  const away: Away = new Map();
  const there = <Port extends object>(port: Port, part: Part) => whileThere(port, part, away, sim.time);
  const machineGroups = memoryMachineGroups();
  const others = {
    blobs: there(memoryBlobs(), "blobs"),
    sealer: there(memorySealer(), "sealer"),
    githubKeys: there(memoryGithubKeys(), "githubKeys"),
  };
  /** Hides active runs from some observations. A missing run may still exist. */
  const seldomBlind =
    ({ compute: { observe } }: Pick<TruePorts, "compute">): Compute["observe"] =>
    async (uid, run) => {
      const seen = await observe(uid, run);
      const { blind } = sim.rates();
      if (!seen || blind === 0 || !goesOn(watched.environments().get(uid)) || sim.random() >= blind) return seen;
      sim.tell("cluster", `does not show ${uid}-r${run} to ${watched.environments().get(uid)?.id}`);
      watched.reached.note("run missed by one look");
      return undefined;
    };
  /** `areChanging` says that machines die and join, so the pool's list changes. */
  const machines = { hearsay: new Map() as Hearsay, areChanging: (around.hasGroup || around.hasBlock) === true };
  const getMachineState = provider(watched.compute, machines.hearsay, sim.time);
  const group = createGroup(around);
  const listMachineGroups = async () => {
    if (!group || !around.listed) return machineGroups.list();
    const groups = listGroups(group, sim.time());
    watched.shortages.listed(groups);
    return groups;
  };
  const observe = group?.saysLacks
    ? sayingLacks(watched.compute.observe, { now: sim.time, group, watch: watched })
    : watched.compute.observe;
  const cluster = there({ ...watched.compute, getMachineState, observe }, "cluster");
  const contexts = new Map<Host, WorkerContext & DelivererContext & Context<"machineGroups">>(
    hosts.map((host) => {
      const ports = faultyPorts(sim, host, {
        queue: there(announcing(queue, around.sent), "queue"),
        table: there(versionedTable(watched.table, memory, host, versions, watched), "table"),
        compute: { ...cluster, ...watched.chat.arriving(cluster) },
        volumes: there(watched.volumes, "volumes"),
      });
      const compute = { ...ports.compute, ...watched.chat.calledBy(host, ports.compute), observe: seldomBlind(ports) };
      return [
        host,
        {
          ...ports,
          compute,
          ...others,
          machineGroups:
            around.hasBlock || around.listed
              ? { list: () => sim.call(host, "list groups", listMachineGroups) }
              : machineGroups,
          fetch: webhooks.calledBy(host),
          clock: host.clock,
          ids,
          log: silentLog(),
          settings,
        },
      ];
    }),
  );
  const checks = new Map(
    hosts.map((host) => {
      const { table: seen = table } = contexts.get(host) ?? {};
      return [host, keyCheck({ table: seen, ids, clock: host.clock, settings })];
    }),
  );
  const answered: Answered = { submits: [], cancels: [], extensions: [], undeletes: [], restores: [] };
  const sweeps = sweepRules(sim.time, watched.violations);
  const parts = { checks, answered, webhooks, sweeps, away, machines, versions, firstNode: nodes[0] as ComputeNode };
  return {
    watch: watched,
    table,
    queue,
    compute,
    volumes,
    hosts,
    contexts,
    isSlow,
    isLong,
    isDeaf: around.isDeaf,
    nodeWatch: around.isWatched ? newNodeWatch() : undefined,
    isRestoring: around.isRestoring === true,
    outage: around.outage,
    nodeCount: nodes.length,
    group,
    machineGroups,
    ...parts,
    /** Runs that the cluster applied again, as `<uid>-r<run>`. */
    leftovers: new Set<string>(),
    nextSweep: sim.time(),
  };
}

function createGroup({
  hasGroup,
  hasBlock,
  listed,
  saysLacks,
  zones = new Map([["zone-a", 0]]),
}: Surroundings): GroupState | undefined {
  if (hasBlock) return nodeGroup({ zones, name: BLOCK, most: MOST_MADE });
  if (!hasGroup) return undefined;
  const { groups, reportsLacks = false } = listed ?? {};
  return nodeGroup({ zones, listed: groups, reportsLacks, saysLacks: saysLacks === true });
}

function announcing(queue: Queue, sent: Surroundings["sent"]): Queue {
  if (!sent) return queue;
  return {
    ...queue,
    send(name, message, options) {
      sent(message);
      return queue.send(name, message, options);
    },
  };
}

/** Reports whether the run is active and continues. For other runs, each observation decides. */
function goesOn(environment: Environment | undefined): boolean {
  return environment?.phase === "active" && environment.end.outcome === null && environment.goal.desired === "active";
}

/** Decides how an environment's run ends, and whether its command ignores SIGTERM. */
function decideFate(sim: Scheduler, compute: ReturnType<typeof memoryCompute>, { uid, id, owner }: Environment): void {
  if (id === TALKING) return;
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
    { kind: "neverBinds", reason: "0/2 nodes are available", first: 1 },
  ];
  const fate = sim.pick(fates);
  const after = "afterMs" in fate ? ` ${Math.round(fate.afterMs)} ms after it began` : "";
  sim.tell(`${owner}/${id}`, `will be one that ${fate.kind}${after}`);
  compute.program(uid, fate, { ignoresTerm });
}
