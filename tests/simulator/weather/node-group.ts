import type { Environment } from "#core/environments/record/record.ts";
import type { Compute, Share } from "#core/ports/compute.ts";
import type { MachineGroup } from "#core/ports/machine-groups.ts";
import type { NodeGroup } from "#core/settings.ts";
import type { Watch } from "../invariants/invariants.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A world's two machines, and two more that are created on demand. */
export const simulatedGroup: NodeGroup = { pool: "h100", mostNodes: 4, startupMs: 40_000, zones: [] };
/** The same in two zones. */
export const zonedGroup: NodeGroup = { ...simulatedGroup, zones: ["zone-a", "zone-b"] };
const inA: ListedGroup = { name: "p5-a", most: 1, zones: ["zone-a"] };
/** Groups that a provider lists: of one zone each, or with one that chooses between two zones. */
export const groupsByZone: readonly ListedGroup[] = [inA, { name: "p5-b", most: 2, zones: ["zone-b"] }];
export const groupsWithWide: readonly ListedGroup[] = [inA, { name: "p5-wide", most: 2, zones: zonedGroup.zones }];
/** Time until the start of a Capacity Block: more than a reading of the groups, which is every 5 minutes. */
const SOONEST_START_MS = 7 * MINUTE;
const LATEST_START_MS = 30 * MINUTE;
const MOST_MADE = 2;
const LONGEST_STARTUP_MS = 90_000;
const IDLE_MS = 240_000;
/** The same for groups that a provider lists. A run waits for their machines for ten minutes, and blames itself only then. */
const LISTED_IDLE_MS = 720_000;

export interface ListedGroup {
  readonly name: string;
  /** The most machines that it creates at a time. */
  readonly most: number;
  readonly zones: readonly string[];
  /** When it begins to create them, as a Capacity Block does. Absent: it may from the start. */
  readonly startsAt?: number;
}

/** Draws groups of one zone each, of which the second is a Capacity Block that has not started. */
export function drawnGroupsWithBlock(sim: Scheduler): readonly ListedGroup[] {
  const startsAt = Math.round(sim.time() + SOONEST_START_MS + sim.random() * (LATEST_START_MS - SOONEST_START_MS));
  return [inA, { name: "p5-block", most: 2, zones: ["zone-b"], startsAt }];
}

/** Reports whether a group may create machines at this time. */
export function hasStarted({ startsAt = 0 }: ListedGroup, now: number): boolean {
  return startsAt <= now;
}

/** Where a machine is created, and by which group, if the provider lists any. */
interface Place {
  readonly zone: string;
  readonly name: string | undefined;
}

export interface GroupState {
  /** Runs for which machines were created. */
  readonly served: Set<string>;
  readonly joins: Map<string, { readonly at: number; readonly place: Place }>;
  /** Its name, if the provider lists it. */
  readonly name: string | undefined;
  /** Most machines at a time. */
  readonly most: number;
  /** The zones of its machines, and until when each has none. */
  readonly zones: ReadonlyMap<string, number>;
  /** The groups that the provider lists. Undefined if NODE_GROUPS names one for all zones. */
  readonly listed: readonly ListedGroup[] | undefined;
  /** Whether the provider reports the zones where its groups have no machines, as EKS does. */
  readonly reportsLacks: boolean;
  /** Whether observations say what AWS lacks, as those of Karpenter's machines do. */
  readonly saysLacks: boolean;
  /** Time since which a machine of the group is empty, by name. */
  readonly idle: Map<string, number>;
  /** Places of the machines of `idle`. */
  readonly madeIn: Map<string, Place>;
  count: number;
  /** Set once its provider has ended its machines. */
  isOver: boolean;
}

export function nodeGroup({
  zones,
  name,
  most = MOST_MADE,
  listed,
  reportsLacks = false,
  saysLacks = false,
}: Pick<GroupState, "zones"> &
  Partial<Pick<GroupState, "name" | "most" | "listed" | "reportsLacks" | "saysLacks">>): GroupState {
  const none = { served: new Set<string>(), joins: new Map(), idle: new Map(), madeIn: new Map() };
  return { ...none, name, most, zones, listed, reportsLacks, saysLacks, count: 0, isOver: false };
}

/** Returns the groups as their provider lists them. */
export function listGroups({ listed = [], zones: until, reportsLacks }: GroupState, now: number): MachineGroup[] {
  const common = { instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true, isSelectable: true as const };
  return listed.map(({ name, most, zones, startsAt }) => {
    const empty = reportsLacks ? zones.filter((zone) => (until.get(zone) ?? 0) > now) : [];
    const where = empty.length < zones.length ? { lacksIn: empty } : {};
    const lacks = empty.length > 0 ? { lacks: "machines" as const, ...where } : {};
    const begins = startsAt === undefined ? {} : { startsAt };
    return { ...common, name, zones, mostNodes: most, ...lacks, ...begins };
  });
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
  for (const [name, { at, place }] of group.joins) if (at <= sim.time()) join(sim, world, group, name, place);
  for (const name of group.idle.keys()) removeIdle(sim, world, group, name);
}

function serve(sim: Scheduler, world: SimulatedWorld, group: GroupState, environment: Environment): void {
  const { uid, phase, run } = environment;
  const open = run.grant?.shares.filter(({ node }) => node === null) ?? [];
  const name = `${uid}-r${run.n}`;
  if (phase !== "preparing" || run.appliedAt === null || open.length === 0 || group.served.has(name)) return;
  const full = listZones(group, environment)
    .filter(([, at]) => at <= sim.time())
    .flatMap(([zone]) => listPlaces(group, zone, open, sim.time()));
  const place = full.length > 1 ? sim.pick(full) : full[0];
  if (!place) {
    world.watch.reached.note("a zone without machines for who waited");
    if (group.reportsLacks) world.watch.reached.note("a listed group without machines for who waited");
    return;
  }
  group.served.add(name);
  for (const _ of open) {
    if (!group.listed && group.joins.size + group.idle.size >= group.most) return;
    group.count += 1;
    group.joins.set(`h100-made-${group.count}`, { at: sim.time() + sim.random() * LONGEST_STARTUP_MS, place });
  }
}

/** Lists where the new machines of these shares may be created in a zone, by groups that may create that many now. */
function listPlaces(
  { listed, name, joins, madeIn }: GroupState,
  zone: string,
  open: readonly Share[],
  now: number,
): Place[] {
  if (!listed) return [{ zone, name }];
  const wanted = open[0]?.group;
  const made = [...[...joins.values()].map(({ place }) => place), ...madeIn.values()];
  const hasRoom = (group: ListedGroup) =>
    made.filter((place) => place.name === group.name).length + open.length <= group.most;
  const inZone = listed.filter((group) => group.zones.includes(zone) && (wanted ?? group.name) === group.name);
  return inZone
    .filter((group) => hasStarted(group, now) && hasRoom(group))
    .map((group) => ({ zone, name: group.name }));
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

function join(sim: Scheduler, world: SimulatedWorld, group: GroupState, name: string, place: Place): void {
  const { zone } = place;
  group.joins.delete(name);
  group.idle.set(name, sim.time());
  const isOfBlock = group.listed?.some((each) => each.name === place.name && each.startsAt !== undefined);
  if (isOfBlock) world.watch.reached.note("a machine of a block that started");
  group.madeIn.set(name, place);
  sim.tell("group", `${name} joins`);
  const uid = `node-uid-${name}`;
  const placed = { name, zone, uid, providerId: `aws:///${zone}/${uid}`, group: place.name };
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
  const idleMs = group.listed ? LISTED_IDLE_MS : IDLE_MS;
  if (isUsed || sim.time() - (group.idle.get(name) ?? 0) < idleMs) return;
  group.idle.delete(name);
  group.madeIn.delete(name);
  sim.tell("group", `${name} is taken away`);
  world.compute.removeNode(name);
  world.compute.setMachine(`node-uid-${name}`, "gone");
}
