import type { Context } from "../../context.ts";
import { findInstanceType } from "../../fleet.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import { sameData } from "../../store/same-data.ts";
import { MINUTE_MS } from "../../units.ts";
import { type Admission, changeAdmission, type PlannedDrain } from "../admission/admission.ts";
import { isMoreCertain } from "./interruption.ts";

/** The note of a drain that a provider causes. Operators read it. */
const note = { by: "provider", reason: "The provider ends the machines of this node group" };

/**
 * Time before the end of a group. From then on nothing starts there, and its runs are warned: a run that took long to
 * start ends that much later. EC2 announces the end of a Capacity Block at the same time (Amazon EC2 User Guide,
 * "Monitor Capacity Blocks using EventBridge").
 */
const NOTICE_MS = 10 * MINUTE_MS;

/**
 * Plans a drain for each group whose provider ends its machines, as at the end of a Capacity Block. So a job that would
 * outlive its machine does not start there. If a listed group has no end, its planned end stays, because providers forget
 * blocks that are over. Returns the setting after that.
 */
export async function planGroupEnds(
  ctx: Context<"table">,
  admission: Admission,
  groups: readonly MachineGroup[],
  listed: readonly ComputeNode[],
): Promise<Admission> {
  const now = ctx.clock.now();
  const found = groups.flatMap((group) => listEnds(group, listed, now));
  if (sameData(toTexts(admission.planned), toTexts(withKept(admission, found, groups)))) return admission;
  return changeAdmission(ctx, (before) => {
    const others = before.planned?.filter(({ byProvider }) => !byProvider) ?? [];
    return { ...before, planned: [...others, ...withKept(before, found, groups)] };
  });
}

function listEnds(group: MachineGroup, listed: readonly ComputeNode[], now: number): PlannedDrain[] {
  const { name: nodeGroup, endsAt } = group;
  if (endsAt === undefined) return [];
  const from = endsAt - NOTICE_MS;
  return listPools(group, listed).map((type) => ({ type, nodeGroup, at: now, ...note, from, byProvider: true }));
}

/** Returns the pools of a group's machines: of its only type, and of those that are in the cluster. */
function listPools({ name, instanceTypes }: MachineGroup, listed: readonly ComputeNode[]): string[] {
  const ofNodes = listed.filter(({ group }) => group === name).map(({ instanceType }) => instanceType);
  const types = [...(instanceTypes.length === 1 ? instanceTypes : []), ...ofNodes];
  return [...new Set(types.flatMap((type) => findInstanceType(type)?.pool ?? []))];
}

/** Returns the ends to plan: those found, and those planned for listed groups that have none now. */
function withKept(
  { planned = [] }: Admission,
  found: readonly PlannedDrain[],
  groups: readonly MachineGroup[],
): PlannedDrain[] {
  const endless = new Set(groups.filter(({ endsAt }) => endsAt === undefined).map(({ name }) => name));
  const before = planned.filter(({ byProvider }) => byProvider);
  const kept = before.filter(({ nodeGroup = "" }) => endless.has(nodeGroup));
  const texts = new Map(before.map((plan) => [toText(plan), plan]));
  return [...kept, ...found.map((end) => texts.get(toText(end)) ?? end)];
}

function toTexts(planned: readonly PlannedDrain[] = []): string[] {
  return planned
    .filter(({ byProvider }) => byProvider)
    .map(toText)
    .sort();
}

function toText({ type, nodeGroup, from }: PlannedDrain): string {
  return `${type} ${nodeGroup} ${from}`;
}

/** Returns the listed machines. Those that their provider ends soon are marked as being removed, with the time. */
export function withEnds(
  listed: readonly ComputeNode[],
  groups: readonly MachineGroup[],
  now: number,
): readonly ComputeNode[] {
  const ends = new Map(groups.map(({ name, endsAt }) => [name, endsAt]));
  return listed.map((node) => {
    const takenBackAt = ends.get(node.group ?? "");
    const isEnding = takenBackAt !== undefined && takenBackAt - NOTICE_MS <= now;
    const isKnownBetter = node.interruption !== undefined && isMoreCertain(node.interruption, "removal");
    return isEnding && !isKnownBetter ? { ...node, interruption: "removal", takenBackAt } : node;
  });
}
