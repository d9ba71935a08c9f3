import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { type ChangedNodes, mergeChangedNodes } from "#core/ports/changed-nodes.ts";
import type { ClientAction } from "../clients/clients.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";
import { BLOCK } from "./block.ts";

const MINUTE = 60_000;
/** The rest after a listing, and after one that failed (packages/core/reconciler/paced-task.ts). */
const REST_MS = 1_000;
const LONG_REST_MS = 30_000;
/** Another process takes over the watch of a dead or sleeping one after this time (watcher-lease.ts). */
const LEASE_MS = 90_000;
/** Cordons also come after the faults, when every change must be known soon. */
const LATEST_MS = 12 * MINUTE;

/** The watch of nodes, which lists the machines that changed (packages/core/reconciler/machine-listing.ts). */
export interface NodeWatch {
  changed: ChangedNodes | undefined;
  /** When the next listing may begin. */
  nextAt: number;
  /** Number of the listing in progress or the last one. */
  listing: number;
}

export function newNodeWatch(): NodeWatch {
  return { changed: undefined, nextAt: 0, listing: 0 };
}

/** Lists the machines whose changes the watch shows, on any host. Faults lose some changes. */
export function listChangedNodes(sim: Scheduler, world: SimulatedWorld): void {
  const { nodeWatch, watch } = world;
  if (!nodeWatch) return;
  const changed = world.compute.takeChangedNodes();
  if (changed !== undefined) {
    watch.listings.changed();
    if (sim.rates().loseSignal > 0 && sim.random() < sim.rates().loseSignal) sim.note("lost: a change of nodes");
    else nodeWatch.changed = mergeChangedNodes(nodeWatch.changed, changed);
  }
  if (nodeWatch.changed === undefined || sim.time() < nodeWatch.nextAt) return;
  list(sim, world, nodeWatch, nodeWatch.changed);
}

/** Returns when the next listing is due, if any. */
export function nextListingAt({ nodeWatch }: Pick<SimulatedWorld, "nodeWatch">): number | undefined {
  return nodeWatch?.changed === undefined ? undefined : nodeWatch.nextAt;
}

function list(sim: Scheduler, world: SimulatedWorld, nodeWatch: NodeWatch, nodes: ChangedNodes): void {
  const host = sim.pick(world.hosts);
  const ctx = world.contexts.get(host);
  if (!ctx) return;
  const { machineGroups: _, ...ports } = ctx;
  const names = nodes === "all" ? undefined : nodes;
  nodeWatch.changed = undefined;
  nodeWatch.listing += 1;
  nodeWatch.nextAt = sim.time() + LEASE_MS;
  const { listing } = nodeWatch;
  let isWhole = false;
  const refresh = async () => {
    isWhole = await refreshCapacity(ports, "watcher", names);
  };
  world.watch.reached.note(names ? "named machines listed" : "all machines listed after a change");
  const isSure = () => isWhole && world.versions.kinds.size === 0;
  const work = () => world.watch.listings.listing(host, refresh, { names, isSure });
  sim.start(host, `list ${names ? [...names].join(", ") : "all nodes"}`, work, (failed) => {
    if (listing !== nodeWatch.listing) return;
    nodeWatch.nextAt = sim.time() + (failed ? LONG_REST_MS : REST_MS);
    if (failed || isWhole) return;
    world.watch.reached.note("machines listed again after a lost race");
    nodeWatch.changed = mergeChangedNodes(nodeWatch.changed, nodes);
  });
}

/** Cordons machines and restarts device plugins, each for a while. */
export function nodeActions(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  if (!world.nodeWatch) return [];
  const count = Math.floor(sim.random() * 4);
  if (count > 0) world.machines.areChanging = true;
  return Array.from({ length: count }, () => nodeAction(sim, world)).flat();
}

function nodeAction(sim: Scheduler, world: SimulatedWorld): ClientAction[] {
  const { units } = world.firstNode;
  const name = sim.pick(["h100-1", "h100-2"].slice(0, world.group?.name === BLOCK ? 1 : 2));
  const at = sim.time() + sim.random() * LATEST_MS;
  const end = at + sim.random() * 2 * MINUTE;
  if (sim.random() < 0.3) {
    const offer = (count: number) => () => {
      sim.tell("weather", `${name} offers ${count} units`);
      world.compute.offerUnits(name, count);
    };
    return [
      { at, run: offer(0) },
      { at: end, run: offer(units), isNeeded: true },
    ];
  }
  const cordon = (isCordoned: boolean) => () => {
    sim.tell("operator", `${isCordoned ? "cordons" : "uncordons"} ${name}`);
    world.compute.cordonNode(name, isCordoned);
    if (isCordoned) world.watch.reached.note("a machine cordoned");
  };
  return [
    { at, run: cordon(true) },
    { at: end, run: cordon(false), isNeeded: true },
  ];
}
