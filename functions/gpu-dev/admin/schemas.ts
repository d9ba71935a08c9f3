import * as z from "zod";
import { instanceTypes } from "#core/fleet.ts";
import type { Admission, OperatorNote, PlannedDrain } from "#core/pools/admission/admission.ts";
import type { PoolPart } from "#core/ports/compute.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";

export const UserRef = z.object({
  username: z.string().max(255).meta({ example: "alice" }).describe("The user's name."),
});

export const PoolRef = z.object({ gpu_type: z.string().meta({ example: "h100" }).describe("The type of GPU.") });

export function parseGpuType({ gpu_type }: z.infer<typeof PoolRef>): string {
  if (instanceTypes.some(({ pool }) => pool === gpu_type)) return gpu_type;
  throw new Problem("notFound", `GPU type '${gpu_type.slice(0, 100)}' not found`);
}

export const NodePath = z.object({
  name: z
    .string()
    .max(255)
    .meta({ example: "ip-10-0-12-34.us-east-2.compute.internal" })
    .describe("The machine's name."),
});

export const UserState = z
  .object({
    username: z.string().describe("The user's name."),
    disabled: z.boolean().describe("Whether the user is disabled."),
  })
  .meta({ id: "UserState" });

/** The drained part of a GPU type. */
export const placeInType = {
  zone: z.string().nullable().describe("The drained zone; null if it is something else."),
  node_group: z.string().nullable().describe("The name of the drained node group; null if it is something else."),
  node: z.string().nullable().describe("The name of the drained machine; null if it is something else."),
};

export function toPlace({ zone, nodeGroup, node }: PoolPart) {
  return { zone: zone ?? null, node_group: nodeGroup ?? null, node: node ?? null };
}

/** The fields of a drained part of a GPU type. */
export const drainedPart = {
  gpu_type: z.string().describe("The type of GPU."),
  ...placeInType,
};

export function toDrainedPart({ type, ...part }: PoolPart & { readonly type: string }) {
  return { gpu_type: type, ...toPlace(part) };
}

/** The part of a GPU type that a planned drain is for, and its time. */
export const plannedPlace = {
  zone: z.string().nullable().describe("The zone to be drained; null for another part or the whole type."),
  node_group: z.string().nullable().describe("The node group to be drained; null for another part or the whole type."),
  node: z.string().nullable().describe("The machine to be drained; null for another part or the whole type."),
  at: Timestamp.describe("When it is drained. Until then, only jobs that end by then start there."),
};

/** The planner of a drain, and the time of its plan. */
export const plannedNote = {
  since: Timestamp.nullable().describe("When the drain was planned."),
  by: z.string().nullable().describe("The operator who planned it; `provider` for the end of a Capacity Block."),
  by_provider: z
    .boolean()
    .describe("Whether the provider ends the machines then, so that no operator can drop the drain."),
};

export function toPlannedNote({ byProvider }: PlannedDrain) {
  return { by_provider: byProvider === true };
}

export const plannedDrain = { gpu_type: drainedPart.gpu_type, ...plannedPlace };

export function toPlannedDrain({ from, ...part }: PlannedDrain) {
  return { ...toDrainedPart(part), at: wholeSeconds(from) };
}

/** Returns the drains whose time has not come. The others are among the drained types and parts. */
function listPlanned({ planned = [] }: Pick<Admission, "planned">, now: number): readonly PlannedDrain[] {
  return planned.filter(({ from }) => from > now);
}

export const AdmissionState = z
  .object({
    paused: z.boolean().describe("Whether no new jobs are started at all."),
    drained_gpu_types: z.array(z.string()).describe("The GPU types on which no new jobs are started."),
    drained_parts: z
      .array(z.object(drainedPart).meta({ id: "DrainedPart" }))
      .describe("The zones, node groups and machines on which no new jobs of a GPU type are started."),
    planned_drains: z
      .array(z.object(plannedDrain).meta({ id: "PlannedDrain" }))
      .describe(
        "The planned drains: of a zone, a node group or a machine, or of the whole type if all three are null.",
      ),
  })
  .meta({ id: "AdmissionState" });

export function toAdmissionState(admission: Admission, now: number): z.infer<typeof AdmissionState> {
  const { paused, drained, parts = [] } = admission;
  return {
    paused,
    drained_gpu_types: [...drained],
    drained_parts: parts.map(toDrainedPart),
    planned_drains: listPlanned(admission, now).map(toPlannedDrain),
  };
}

export const OperatorReason = z
  .object({
    reason: z.string().min(1).max(200).nullish().describe("Why, in the operator's words; null if none were given."),
  })
  .meta({ id: "OperatorReason" });

/** A value of a Kubernetes label: runs that wait for a machine exclude drained zones and node groups by their labels. */
const LabelValue = z
  .string()
  .max(63)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/);

const partFields = {
  zone: LabelValue.nullish().describe("Only the machines in this zone; null for the whole type."),
  node_group: LabelValue.nullish().describe("Only the machines of this node group of EKS; null for the whole type."),
  node: z.string().min(1).max(253).nullish().describe("Only the machine of this name; null for the whole type."),
};

type PartFields = z.infer<z.ZodObject<typeof partFields>>;

/** Names one place only: draining a machine and its zone are two calls, which are undone one by one. */
function refuseSeveral({ zone, node_group, node }: PartFields, ctx: z.RefinementCtx): void {
  if ([zone, node_group, node].filter(Boolean).length > 1)
    ctx.addIssue({ code: "custom", path: ["node"], message: "Give only one of zone, node_group and node" });
}

export const DrainRequest = z
  .object({
    ...OperatorReason.shape,
    ...partFields,
    at: z.iso
      .datetime({ offset: true, message: "Input should be a time such as 2026-01-20T18:30:00Z" })
      .nullish()
      .describe(
        "Drain at this time, at most 90 days ahead: until then, only jobs that end by then are started there. null for now.",
      ),
  })
  .superRefine(refuseSeveral)
  .meta({ id: "DrainRequest" });

export const UndrainRequest = z.object(partFields).superRefine(refuseSeveral).meta({ id: "UndrainRequest" });

/** Returns the part that a request names, or undefined for the whole type. */
export function toPoolPart({ zone, node_group, node }: PartFields): PoolPart | undefined {
  if (node) return { node };
  if (node_group) return { nodeGroup: node_group };
  return zone ? { zone } : undefined;
}

/** Returns what the audit records: `h100`, `h100 zone us-east-2a`. */
export function auditTarget({ gpu_type }: z.infer<typeof PoolRef>, { zone, node_group, node }: PartFields): string {
  if (node) return `${gpu_type} node ${node}`;
  if (node_group) return `${gpu_type} node group ${node_group}`;
  return zone ? `${gpu_type} zone ${zone}` : gpu_type;
}

export function toOperatorNote(by: string, { reason = null }: z.infer<typeof OperatorReason>): OperatorNote {
  return { by, reason };
}

export function exampleAdmission(title: string, paused: boolean, ...drained_gpu_types: string[]) {
  return { [title]: { paused, drained_gpu_types, drained_parts: [], planned_drains: [] } };
}

export const exampleRecord = "owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#env#gpu-dev|9e41c7d3-5b00-4c1a-8000-0123456789ab";
