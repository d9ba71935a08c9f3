import type { Environment } from "#core/environments/record/record.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { NodeGroup } from "#core/settings.ts";
import type { Watch } from "../invariants/invariants.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

/** A world's two machines, and two more that are created on demand. */
export const simulatedGroup: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 40_000, zones: [] };
/** The same in two zones. */
export const zonedGroup: NodeGroup = { ...simulatedGroup, zones: ["zone-a", "zone-b"] };
const MOST_MADE = 2;
const LONGEST_STARTUP_MS = 90_000;
const IDLE_MS = 240_000;
const HOUR = 60 * 60_000;

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
  /** Whether observations say what AWS lacks, as those of Karpenter's machines do. */
  readonly saysLacks: boolean;
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
  saysLacks = false,
}: Pick<GroupState, "zones"> & Partial<Pick<GroupState, "name" | "most" | "saysLacks">>): GroupState {
  const none = { served: new Set<string>(), joins: new Map(), idle: new Map() };
  return { ...none, name, most, zones, saysLacks, count: 0, isOver: false };
}

/** How long zones have no machines: longer than faults last (schedule.ts), or for hours. */
export interface Lacks {
  readonly longestMs: number;
  /** Share of worlds in which one of the zones has machines. */
  readonly one: number;
}

export const shortLacks: Lacks = { longestMs: HOUR, one: 0.7 };
export const longLacks: Lacks = { longestMs: 5 * HOUR, one: 0.3 };

/** Draws until when each zone has no machines. */
export function drawnZones(
  sim: Scheduler,
  { zones }: NodeGroup,
  { longestMs, one }: Lacks,
): ReadonlyMap<string, number> {
  const full = sim.random() < one ? sim.pick(zones) : undefined;
  return new Map(zones.map((zone) => [zone, sim.time() + (zone === full ? 0 : sim.random() * longestMs)]));
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
  const full = listZones(group, environment).filter(([, at]) => at <= sim.time());
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

/** Lists the zones in which the new machines of a run may come, and until when each has none. */
function listZones(group: GroupState, { run, zone: own }: Environment): [string, number][] {
  const wanted = run.grant?.shares.find(({ node }) => node === null)?.zone ?? own;
  return [...group.zones].filter(([zone]) => wanted === null || zone === wanted);
}

/** Returns the port's observations. Those of a run whose machine comes in no zone now say what AWS lacks. */
export function sayingLacks(
  observe: Compute["observe"],
  { now, group, watch }: { readonly now: () => number; readonly group: GroupState; readonly watch: Watch },
): Compute["observe"] {
  return async (uid, run) => {
    const seen = await observe(uid, run);
    const environment = watch.environments().get(uid);
    if (seen?.state !== "unbound" || seen.terminating || environment?.run.n !== run) return seen;
    const isOpen = environment.run.grant?.shares.some(({ node }) => node === null) ?? false;
    const zones = listZones(group, environment);
    const isLacking = zones.every(([, at]) => at > now());
    const isSaid = isOpen && isLacking && !group.served.has(`${uid}-r${run}`);
    watch.shortages.observed(uid, run, isSaid);
    if (!isSaid) return seen;
    const names = zones.map(([zone]) => zone).join(" or ");
    return { ...seen, lacks: "machines", reason: `AWS has no p5.48xlarge in ${names} now` };
  };
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
