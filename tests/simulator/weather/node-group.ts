import type { Environment } from "#core/environments/record/record.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import type { NodeGroup } from "#core/settings.ts";
import type { Watch } from "../invariants/invariants.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

/** A world's two machines, and two more that are created on demand. */
export const simulatedGroup: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 40_000, zones: [] };
/** The same in two zones. */
export const zonedGroup: NodeGroup = { ...simulatedGroup, zones: ["zone-a", "zone-b"] };
/** The groups of one zone each, as a provider lists them. Its maximum is that of the machines that it creates. */
export const groupsByZone: ReadonlyMap<string, ZoneGroup> = new Map([
  ["zone-a", { name: "p5-a", most: 1 }],
  ["zone-b", { name: "p5-b", most: 2 }],
]);
const MOST_MADE = 2;
const LONGEST_STARTUP_MS = 90_000;
const IDLE_MS = 240_000;
/** The same for groups that a provider lists. A run waits for their machines for ten minutes, and blames itself only then. */
const LISTED_IDLE_MS = 720_000;
const HOUR = 60 * 60_000;

export interface ZoneGroup {
  readonly name: string;
  readonly most: number;
}

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
  /** The group of each zone. Undefined if one group has all zones. */
  readonly byZone: ReadonlyMap<string, ZoneGroup> | undefined;
  /** Whether observations say what AWS lacks, as those of Karpenter's machines do. */
  readonly saysLacks: boolean;
  /** Time since which a machine of the group is empty, by name. */
  readonly idle: Map<string, number>;
  /** Zones of the machines of `idle`. */
  readonly madeIn: Map<string, string>;
  count: number;
  /** Set once its provider has ended its machines. */
  isOver: boolean;
}

export function nodeGroup({
  zones,
  name,
  most = MOST_MADE,
  byZone,
  saysLacks = false,
}: Pick<GroupState, "zones"> & Partial<Pick<GroupState, "name" | "most" | "byZone" | "saysLacks">>): GroupState {
  const none = { served: new Set<string>(), joins: new Map(), idle: new Map(), madeIn: new Map() };
  return { ...none, name, most, zones, byZone, saysLacks, count: 0, isOver: false };
}

/** Returns the groups of one zone each as their provider lists them. */
export function listGroupsByZone(): MachineGroup[] {
  const common = { instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true, isSelectable: true as const };
  return [...groupsByZone].map(([zone, { name, most }]) => ({ ...common, name, zones: [zone], mostNodes: most }));
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
  const full = listZones(group, environment).filter(
    ([zone, at]) => at <= sim.time() && hasRoom(group, zone, open.length),
  );
  const zone = full.length > 1 ? sim.pick(full)[0] : full[0]?.[0];
  if (zone === undefined) {
    world.watch.reached.note("a zone without machines for who waited");
    return;
  }
  group.served.add(name);
  for (const _ of open) {
    if (!group.byZone && group.joins.size + group.idle.size >= group.most) return;
    group.count += 1;
    group.joins.set(`h100-made-${group.count}`, { at: sim.time() + sim.random() * LONGEST_STARTUP_MS, zone });
  }
}

/** Reports whether the group of a zone may create so many machines. */
function hasRoom({ byZone, joins, madeIn }: GroupState, zone: string, count: number): boolean {
  const made = [...[...joins.values()].map((joining) => joining.zone), ...madeIn.values()];
  return made.filter((name) => name === zone).length + count <= (byZone?.get(zone)?.most ?? Infinity);
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
  group.madeIn.set(name, zone);
  sim.tell("group", `${name} joins`);
  const uid = `node-uid-${name}`;
  const placed = {
    name,
    zone,
    uid,
    providerId: `aws:///${zone}/${uid}`,
    group: group.byZone?.get(zone)?.name ?? group.name,
  };
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
  const idleMs = group.byZone ? LISTED_IDLE_MS : IDLE_MS;
  if (isUsed || sim.time() - (group.idle.get(name) ?? 0) < idleMs) return;
  group.idle.delete(name);
  group.madeIn.delete(name);
  sim.tell("group", `${name} is taken away`);
  world.compute.removeNode(name);
  world.compute.setMachine(`node-uid-${name}`, "gone");
}
