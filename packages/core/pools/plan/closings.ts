import { canEverFit } from "./ever-fits.ts";
import { type Allowed, byNeed, type FreeNode, type Need } from "./free-units.ts";
import { machinesOutsideZones } from "./new-machines.ts";
import type { PlanInput } from "./plan.ts";

/*
 * Operators plan drains: a machine closes at a time, and a job that ends later does not start there. A job that ends at
 * this time does.
 */

type Closings = Pick<PlanInput, "closings">;

/** Returns the machines on which a job may start that ends at `endsAt`, ms. Undefined: on all. */
export function openTo(nodes: readonly FreeNode[], { closings }: Closings, endsAt: number): Allowed | undefined {
  if (!closings || closings.size === 0) return undefined;
  return (node, zone) => isOpen(nodes[node], zone, endsAt);
}

export function isOpen(node: FreeNode | undefined, zone: string | null, endsAt: number): boolean {
  const { closesAt = Infinity, zonesCloseAt } = node ?? {};
  const zoneClosesAt = zone === null ? Infinity : (zonesCloseAt?.get(zone) ?? Infinity);
  return endsAt <= closesAt && endsAt <= zoneClosesAt;
}

/** Returns a check that requires both. Undefined: no restriction. */
export function both(a: Allowed | undefined, b: Allowed | undefined): Allowed | undefined {
  if (!a || !b) return a ?? b;
  return (node, zone) => a(node, zone) && b(node, zone);
}

/** Returns the ends that matter, latest first: Infinity, then the times at which machines close. */
export function listEnds({ closings }: Closings): readonly number[] {
  return [Infinity, ...(closings?.keys() ?? [])].sort((a, b) => (a < b ? 1 : -1));
}

/**
 * Returns a function that returns the latest end with which a need fits on empty machines, ms: -Infinity if it never
 * fits.
 */
export function latestEndFor(nodes: readonly FreeNode[], input: PlanInput): (need: Need) => number {
  const ends = listEnds(input).toReversed();
  const open = new Map<number, PlanInput>();
  const restrict = (endsAt: number) => {
    const restricted = open.get(endsAt) ?? openInput(input, endsAt);
    open.set(endsAt, restricted);
    return restricted;
  };
  return byNeed((need) => {
    const firstUnfit = ends.findIndex((endsAt) => !canEverFit(nodes, restrict(endsAt), need));
    return firstUnfit < 0 ? Infinity : (ends[firstUnfit - 1] ?? -Infinity);
  });
}

/**
 * Returns the input with only the machines on which a job that ends at `endsAt` may start. Closed machines stay without
 * units, and closed groups create none: their zones are still tried for jobs of several machines.
 */
export function openInput(input: PlanInput, endsAt: number): PlanInput {
  const { closings, drainedZones = [], zonesCloseAt = [] } = input;
  if (!closings || closings.size === 0) return input;
  const closedZones = [...zonesCloseAt].filter(([, at]) => at < endsAt).map(([zone]) => zone);
  const stays = ({ closesAt = Infinity }: { readonly closesAt?: number | undefined }) => closesAt >= endsAt;
  return {
    ...input,
    nodes: input.nodes.map((node) => (stays(node) ? node : { ...node, units: 0, foreign: 0 })),
    makeable: input.makeable.map((machines) => {
      const open = stays(machines) ? machinesOutsideZones(closedZones, machines) : undefined;
      return open ?? { ...machines, count: 0 };
    }),
    drainedZones: [...drainedZones, ...closedZones],
  };
}
