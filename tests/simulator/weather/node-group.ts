import type { Environment } from "#core/environments/record/record.ts";
import type { NodeGroup } from "#core/settings.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

/** A world's two machines, and two more that are created on demand. */
export const simulatedGroup: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 40_000, zones: [] };
const MADE_AT_MOST = 2;
const LONGEST_STARTUP_MS = 90_000;
const IDLE_MS = 240_000;

export interface GroupState {
  /** Runs for which machines were created. */
  readonly served: Set<string>;
  readonly joins: Map<string, number>;
  /** Time since which a machine of the group is empty, by name. */
  readonly idle: Map<string, number>;
  count: number;
}

export function nodeGroup(): GroupState {
  return { served: new Set(), joins: new Map(), idle: new Map(), count: 0 };
}

/**
 * Creates machines for runs without room, and removes machines that have been empty for a while, as an autoscaler does.
 */
export function autoscale(sim: Scheduler, world: SimulatedWorld): void {
  const { group } = world;
  if (!group) return;
  for (const environment of world.watch.living().values()) serve(sim, group, environment);
  for (const [name, at] of group.joins) if (at <= sim.time()) join(sim, world, group, name);
  for (const name of group.idle.keys()) removeIdle(sim, world, group, name);
}

function serve(sim: Scheduler, group: GroupState, { uid, phase, run }: Environment): void {
  const open = run.grant?.shares.filter(({ node }) => node === null) ?? [];
  const name = `${uid}-r${run.n}`;
  if (phase !== "preparing" || run.appliedAt === null || open.length === 0 || group.served.has(name)) return;
  group.served.add(name);
  for (const _ of open) {
    if (group.joins.size + group.idle.size >= MADE_AT_MOST) return;
    group.count += 1;
    group.joins.set(`h100-made-${group.count}`, sim.time() + sim.random() * LONGEST_STARTUP_MS);
  }
}

function join(sim: Scheduler, world: SimulatedWorld, group: GroupState, name: string): void {
  group.joins.delete(name);
  group.idle.set(name, sim.time());
  sim.tell("group", `${name} joins`);
  const uid = `node-uid-${name}`;
  world.compute.setNode({ ...world.firstNode, name, uid, providerId: `aws:///zone-a/${uid}` });
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
