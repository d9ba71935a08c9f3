import type { Environment } from "#core/environments/record/record.ts";
import type { Grant, PoolNode } from "#core/pools/ledger/record.ts";
import type { PoolView } from "../../worlds/pool-view.ts";

/** A written plan, with what is certain of the state at its time. */
export interface Planned {
  /** Grants with the time at which each request was queued. */
  readonly fresh: readonly (Grant & { readonly queuedAt: number })[];
  /** Units of each owner: before the plan, and granted by it. */
  readonly base: ReadonlyMap<string, number>;
  readonly given: ReadonlyMap<string, number>;
  /** Environments that the plan must have considered and did not grant. */
  readonly waiting: readonly Environment[];
  /** Units left on each machine. */
  readonly free: ReadonlyMap<string, number>;
  /** The environment with the reserved start: if kept, before the plan, and after it. */
  readonly keptHead: string | null;
  readonly supersededHead: string | undefined;
  readonly head: Environment | undefined;
}

/**
 * Returns a violation of the order in docs/architecture/admission.md#fairness. Owners with fewer units come first, and
 * the first environment that does not fit gets the reserved start. So a waiting environment of an owner with fewer
 * units proves a fault if
 * - an owner with more units got the reserved start before it,
 * - or it would fit without the grants of owners with more units, unless an earlier one has the reserved start,
 * - or an owner with more units got a place where it would fit and end no later, which delays no one.
 */
export function outOfOrder(plan: Planned, pool: PoolView): string[] {
  const { base, given: input, fresh, waiting, head } = plan;
  const has = (owner: string) => (base.get(owner) ?? 0) + (input.get(owner) ?? 0);
  for (const environment of waiting) {
    const units = has(environment.owner);
    const text = `${environment.owner}, who has ${units}, waits with ${environment.id}`;
    const isHeadAfter = head !== undefined && plan.keptHead === null && (base.get(head.owner) ?? 0) > units;
    if (isHeadAfter && fitsIn(environment, pool.nodes, getWhole(pool.nodes, plan.free))) {
      return [`${head.owner} has ${base.get(head.owner)} and came to the reserved start with ${head.id}, and ${text}`];
    }
    const later = fresh.filter((grant) => grant.uid !== plan.supersededHead && hasBefore(plan, grant) > units);
    if (later.length === 0) continue;
    const isFirst = pool.head === null || pool.head.uid === environment.uid;
    const unlessGiven = isFirst && fitsIn(environment, pool.nodes, withoutGrants(plan.free, later));
    const passed = later.find((grant) => fitsInPlace(environment, grant, pool));
    if (!unlessGiven && !passed) continue;
    const [grant = passed] = later;
    return [`${grant?.owner} has ${grant && hasBefore(plan, grant)} and was given more, and ${text}`];
  }
  return [];
}

/** Returns the units that the owner had at least at this grant: held units and older grants of the plan. */
function hasBefore({ base, fresh }: Planned, grant: Planned["fresh"][number]): number {
  const older = fresh.filter(({ owner, queuedAt, uid }) => {
    const isOlder = queuedAt < grant.queuedAt || (queuedAt === grant.queuedAt && uid < grant.uid);
    return owner === grant.owner && isOlder;
  });
  const units = older.flatMap(({ shares }) => shares).reduce((sum, share) => sum + share.units, 0);
  return (base.get(grant.owner) ?? 0) + units;
}

/** Reports whether enough machines have enough free units. */
export function fitsIn(
  { size, zone }: Environment,
  nodes: readonly PoolNode[],
  free: ReadonlyMap<string, number>,
): boolean {
  const fitting = nodes.filter((node) => (zone ?? node.zone) === node.zone && (free.get(node.name) ?? 0) >= size.units);
  // All machines of a job are in one zone.
  return [...Map.groupBy(fitting, (node) => node.zone).values()].some((inZone) => inZone.length >= size.machines);
}

/** Returns the usable machines as if nothing were granted. */
function getWhole(nodes: readonly PoolNode[], free: ReadonlyMap<string, number>): Map<string, number> {
  const usable = nodes.filter(({ name }) => free.has(name));
  return new Map(usable.map(({ name, units, foreignUnits }) => [name, units - foreignUnits]));
}

function withoutGrants(free: ReadonlyMap<string, number>, grants: readonly Grant[]): Map<string, number> {
  const more = new Map(free);
  for (const { node, units } of grants.flatMap(({ shares }) => shares)) {
    const left = node === null ? undefined : more.get(node);
    if (node !== null && left !== undefined) more.set(node, left + units);
  }
  return more;
}

function fitsInPlace({ size, zone }: Environment, grant: Grant, { nodes }: PoolView): boolean {
  if (size.wantedMs > grant.size.wantedMs) return false;
  const zones = new Map(nodes.map((node) => [node.name, node.zone]));
  const places = grant.shares.filter(({ node, units }) => {
    return node !== null && units >= size.units && (zone ?? zones.get(node)) === zones.get(node);
  });
  return places.length >= size.machines;
}
