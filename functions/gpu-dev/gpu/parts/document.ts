import type { NounDocument } from "#http/noun-document.ts";
import { GpuCapacity } from "../wire.ts";

const h100 = { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 4, max_per_node: 8 };
const a100 = { gpu_type: "a100", total: 16, available: 12, in_use: 4, queued: 0, max_per_node: 8 };

export const document: NounDocument = {
  tag: "Capacity",
  schemas: { GpuCapacity },
  fields: {
    availability: "Numbers for each GPU type.",
    gpu_type: "The type of GPU.",
    "GpuCapacity.total": "Number of GPUs of this type.",
    available: "Number of GPUs that are free now. A machine that is down has none.",
    in_use: "Number of GPUs in use by jobs.",
    queued: "Number of GPUs that waiting jobs asked for.",
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
