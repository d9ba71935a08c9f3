import * as z from "zod";
import { instanceTypes } from "#core/fleet.ts";
import type { Admission, OperatorNote } from "#core/pools/admission/admission.ts";
import { Problem } from "#core/problem.ts";

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

export const AdmissionState = z
  .object({
    paused: z.boolean().describe("Whether no new jobs are started at all."),
    drained_gpu_types: z.array(z.string()).describe("The GPU types on which no new jobs are started."),
  })
  .meta({ id: "AdmissionState" });

export function toAdmissionState({ paused, drained }: Admission): z.infer<typeof AdmissionState> {
  return { paused, drained_gpu_types: [...drained] };
}

export const OperatorReason = z
  .object({
    reason: z.string().min(1).max(200).nullish().describe("Why, in the operator's words; null if none were given."),
  })
  .meta({ id: "OperatorReason" });

export function toOperatorNote(by: string, { reason = null }: z.infer<typeof OperatorReason>): OperatorNote {
  return { by, reason };
}

export function exampleAdmission(title: string, paused: boolean, ...drained_gpu_types: string[]) {
  return { [title]: { paused, drained_gpu_types } };
}

export const exampleRecord = "owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#env#gpu-dev|9e41c7d3-5b00-4c1a-8000-0123456789ab";
