import type { Environment } from "#core/environments/record/record.ts";
import type { Grant, PoolNode } from "#core/pools/ledger/record.ts";
import type { PoolView } from "../../worlds/pool-view.ts";

/** A plan as it was written, with what is certain of the moment at which it was made. */
export interface Planned {
  /** What it gave, and since when each had waited. */
  readonly fresh: readonly (Grant & { readonly queuedAt: number })[];
  /** Units by owner: before it gave anything, and what it gave. */
  readonly base: ReadonlyMap<string, number>;
  readonly given: ReadonlyMap<string, number>;
  /** Those whom it must have considered and gave nothing. */
  readonly waiting: readonly Environment[];
  /** What was left, by machine. */
  readonly free: ReadonlyMap<string, number>;
  /** Who had the reserved start before and keeps it; who had it before in any case; who has it now. */
  readonly keptHead: string | null;
  readonly supersededHead: string | undefined;
  readonly head: Environment | undefined;
}

/**
 * Where a plan did not keep the order of docs/architecture/admission.md#fairness. Whoever has less is considered before
 * whoever has more, and the first who does not fit has the reserved start. So of one with less that was given nothing
 * it is certain that
 * - nobody with more came to the reserved start before it,
 * - it would not have fitted, had those with more been given nothing, unless somebody before it has the reserved start,
 * - nobody with more was given a place in which it would have fitted and ended no later: such a place delays nobody.
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

/** What its owner had at least when this was given: what it held, and what of its own had waited for longer. */
function hasBefore({ base, fresh }: Planned, grant: Planned["fresh"][number]): number {
  const older = fresh.filter(({ owner, queuedAt, uid }) => {
    const isOlder = queuedAt < grant.queuedAt || (queuedAt === grant.queuedAt && uid < grant.uid);
    return owner === grant.owner && isOlder;
  });
  const units = older.flatMap(({ shares }) => shares).reduce((sum, share) => sum + share.units, 0);
  return (base.get(grant.owner) ?? 0) + units;
}

/** Whether there are machines enough with so much free. */
export function fitsIn(
  { size, zone }: Environment,
  nodes: readonly PoolNode[],
  free: ReadonlyMap<string, number>,
): boolean {
  const fitting = nodes.filter((node) => (zone ?? node.zone) === node.zone && (free.get(node.name) ?? 0) >= size.units);
  return fitting.length >= size.machines;
}

/** The machines that may be used, as if nobody had anything. */
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
