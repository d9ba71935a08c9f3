import type { NounDocument } from "#http/noun-document.ts";
import { GpuAvailability, GpuCapacity } from "../wire.ts";

const open = { open: true, closed_reason: null, largest_free: 8, count_options: [1, 2, 4, 8, 16], scalable: 0 };
const h100 = { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 4, max_per_node: 8, ...open };
const a100 = { gpu_type: "a100", total: 16, available: 12, in_use: 4, queued: 0, max_per_node: 8, ...open };

export const document: NounDocument = {
  tag: "Capacity",
  schemas: { GpuCapacity, GpuAvailability },
  fields: {
    availability: "Numbers for each GPU type.",
    gpu_type: "The type of GPU.",
    "GpuCapacity.total": "Number of GPUs of this type.",
    available: "Number of GPUs that are free now. A machine that is down has none.",
    in_use: "Number of GPUs in use by jobs.",
    queued: "Number of GPUs that waiting jobs asked for.",
    open: "Whether jobs of this type start now. They may be submitted in any case.",
    closed_reason: "Why no job of this type starts now. Null while they do.",
    largest_free: "Number of GPUs that are free on one machine, at most.",
    count_options: "The values of `gpu_count` that a job of this type may have.",
    scalable: "Number of machines that its node group could still make. Their GPUs count as free.",
    max_per_node: "Number of GPUs in one machine.",
  },
  operations: {
    availability: {
      id: "getAvailability",
      reply: "Availability",
      replies: {
        200: {
          examples: { "Two types": { availability: { h100, a100 }, timestamp: "2026-01-20T18:30:00Z" } },
        },
      },
    },
  },
};
