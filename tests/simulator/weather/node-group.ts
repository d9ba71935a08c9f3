import type { Environment } from "#core/environments/record/record.ts";
import type { NodeGroup } from "#core/settings.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

/** A world's two machines, and two more that are created on demand. */
export const simulatedGroup: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 40_000, zones: [] };
/** The same in two zones. */
export const zonedGroup: NodeGroup = { ...simulatedGroup, zones: ["zone-a", "zone-b"] };
const MOST_MADE = 2;
const LONGEST_STARTUP_MS = 90_000;
const IDLE_MS = 240_000;
/** Longer than faults last (schedule.ts). */
const LONGEST_LACK_MS = 60 * 60_000;

export interface GroupState {
  /** Runs for which machines were created. */
  readonly served: Set<string>;
  readonly joins: Map<string, { readonly at: number; readonly zone: string }>;
  /** Its name, if the provider lists it. */
  readonly name: string | undefined;
  /** Most machines at a time. */
  readonly most: number;
  /** The zones of its machines, and until when each has none. */
  readonly zones: ReadonlyMap<string, number>;
  /** Time since which a machine of the group is empty, by name. */
  readonly idle: Map<string, number>;
  count: number;
  /** Set once its provider has ended its machines. */
  isOver: boolean;
}

export function nodeGroup({
  zones,
  name,
  most = MOST_MADE,
}: Pick<GroupState, "zones"> & Partial<Pick<GroupState, "name" | "most">>): GroupState {
  return { served: new Set(), joins: new Map(), name, most, zones, idle: new Map(), count: 0, isOver: false };
}

/** Draws until when each zone has no machines: mostly one of two, sometimes both. */
export function drawnZones(sim: Scheduler, { zones }: NodeGroup): ReadonlyMap<string, number> {
  const full = sim.random() < 0.7 ? sim.pick(zones) : undefined;
  return new Map(zones.map((zone) => [zone, sim.time() + (zone === full ? 0 : sim.random() * LONGEST_LACK_MS)]));
}

/**
 * Creates machines for runs without room, and removes machines that have been empty for a while, as an autoscaler does.
 */
export function autoscale(sim: Scheduler, world: SimulatedWorld): void {
  const { group } = world;
  if (!group || group.isOver) return;
  for (const environment of world.watch.living().values()) serve(sim, world, group, environment);
  for (const [name, { at, zone }] of group.joins) if (at <= sim.time()) join(sim, world, group, { name, zone });
  for (const name of group.idle.keys()) removeIdle(sim, world, group, name);
}

function serve(sim: Scheduler, world: SimulatedWorld, group: GroupState, environment: Environment): void {
  const { uid, phase, run } = environment;
  const open = run.grant?.shares.filter(({ node }) => node === null) ?? [];
  const name = `${uid}-r${run.n}`;
  if (phase !== "preparing" || run.appliedAt === null || open.length === 0 || group.served.has(name)) return;
  const wanted = open[0]?.zone ?? environment.zone;
  const full = [...group.zones].filter(([zone, at]) => at <= sim.time() && (wanted === null || zone === wanted));
  const zone = full.length > 1 ? sim.pick(full)[0] : full[0]?.[0];
  if (zone === undefined) {
    world.watch.reached.note("a zone without machines for who waited");
    return;
  }
  group.served.add(name);
  for (const _ of open) {
    if (group.joins.size + group.idle.size >= group.most) return;
    group.count += 1;
    group.joins.set(`h100-made-${group.count}`, { at: sim.time() + sim.random() * LONGEST_STARTUP_MS, zone });
  }
}

function join(
  sim: Scheduler,
  world: SimulatedWorld,
  group: GroupState,
  { name, zone }: { readonly name: string; readonly zone: string },
): void {
  group.joins.delete(name);
  group.idle.set(name, sim.time());
  sim.tell("group", `${name} joins`);
  const uid = `node-uid-${name}`;
  const placed = { name, zone, uid, providerId: `aws:///${zone}/${uid}`, group: group.name };
  world.compute.setNode({ ...world.firstNode, ...placed });
  world.watch.reached.note("a machine made for who waited");
}

function removeIdle(sim: Scheduler, world: SimulatedWorld, group: GroupState, name: string): void {
  const node = world.watch
    .pools()
    .get("h100")
    ?.nodes.find((node) => node.name === name);
  const isUsed = world.compute.liveUnits(name) > 0 || (node && node.granted.length + node.held.length > 0);
  if (isUsed) group.idle.set(name, sim.time());
  if (isUsed || sim.time() - (group.idle.get(name) ?? 0) < IDLE_MS) return;
  group.idle.delete(name);
  sim.tell("group", `${name} is taken away`);
  world.compute.removeNode(name);
  world.compute.setMachine(`node-uid-${name}`, "gone");
}
