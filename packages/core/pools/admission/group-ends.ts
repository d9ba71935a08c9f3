import type { Context } from "../../context.ts";
import { findInstanceType } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import { sameData } from "../../store/same-data.ts";
import { MINUTE_MS } from "../../units.ts";
import { type Admission, changeAdmission, type DrainedPart, isDrained, type PlannedDrain } from "./admission.ts";

/** The note of such a drain, as operators see it. */
const note = { by: "provider", reason: "The provider ends the machines of this node group" };

/**
 * Plans a drain for each group whose provider ends its machines, as at the end of a Capacity Block, and drops those of
 * groups that have no such end any more. So a job that would outlive its machine does not start there. Returns the
 * setting that holds then. An operator who undrains such a group gets it back with the next listing.
 */
export async function planGroupEnds(
  ctx: Context<"table">,
  admission: Admission,
  groups: readonly MachineGroup[],
  listed: readonly ComputeNode[],
): Promise<Admission> {
  const ends = groups.flatMap((group) => listEnds(group, listed, ctx.clock.now()));
  if (sameData(endsOf(admission), endsIn(admission, ends).map(toText).sort())) return admission;
  return changeAdmission(ctx, (before) => {
    const { parts, planned = [] } = before;
    const known = new Map(planned.filter(isByProvider).map((plan) => [toText(plan), plan]));
    const current = endsIn(before, ends).map((end) => known.get(toText(end)) ?? end);
    const others = planned.filter((plan) => !isByProvider(plan));
    return { ...before, parts: parts?.filter((part) => !isByProvider(part)), planned: [...others, ...current] };
  });
}

function isByProvider({ byProvider }: DrainedPart): boolean {
  return byProvider === true;
}

function listEnds(group: MachineGroup, listed: readonly ComputeNode[], now: number): PlannedDrain[] {
  const { name: nodeGroup, endsAt: from } = group;
  if (from === undefined) return [];
  return listPools(group, listed).map((type) => ({ type, nodeGroup, at: now, ...note, from, byProvider: true }));
}

/** Leaves out groups that an operator has drained: such a group stays drained until an operator reopens it. */
function endsIn(admission: Admission, ends: readonly PlannedDrain[]): PlannedDrain[] {
  const byOperators = { ...admission, parts: admission.parts?.filter((part) => !isByProvider(part)) };
  return ends.filter((end) => !isDrained(byOperators, end.type, end));
}

/** Returns the pools of a group's machines: of its only type, and of those that are in the cluster. */
function listPools({ name, instanceTypes }: MachineGroup, listed: readonly ComputeNode[]): string[] {
  const ofNodes = listed.filter(({ group }) => group === name).map(({ instanceType }) => instanceType);
  const types = [...(instanceTypes.length === 1 ? instanceTypes : []), ...ofNodes];
  return [...new Set(types.flatMap((type) => findInstanceType(type)?.pool ?? []))];
}

/** A drain whose time has come is one of the drained parts, since that time. */
function endsOf({ parts = [], planned = [] }: Admission): string[] {
  const due = parts.filter(isByProvider).map((part) => toText({ ...part, from: part.at }));
  return [...new Set([...due, ...planned.filter(isByProvider).map(toText)])].sort();
}

function toText({ type, nodeGroup, from }: Pick<PlannedDrain, "type" | "nodeGroup" | "from">): string {
  return `${type} ${nodeGroup} ${from}`;
}

/** How long before the end of its machine a run is told. EC2 announces the end of a Capacity Block as early. */
const NOTICE_MS = 10 * MINUTE_MS;

/** Returns the listed machines, of which those that their provider ends soon are being removed. */
export function withEnds(
  listed: readonly ComputeNode[],
  groups: readonly MachineGroup[],
  now: number,
): readonly ComputeNode[] {
  const ending = new Set(groups.filter(({ endsAt = Infinity }) => endsAt - NOTICE_MS <= now).map(({ name }) => name));
  if (ending.size === 0) return listed;
  return listed.map((node) => {
    const isEnding = node.group !== undefined && ending.has(node.group);
    return isEnding ? { ...node, interruption: node.interruption ?? "removal" } : node;
  });
}
