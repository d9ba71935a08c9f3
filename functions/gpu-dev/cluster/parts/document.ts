import type { NounDocument } from "#http/noun-document.ts";
import { EstimateErrorsByType } from "../wire.ts";

export const document: NounDocument = {
  tag: "Capacity",
  schemas: { EstimateError: EstimateErrorsByType.valueType },
  fields: {
    total_gpus: "Number of GPUs in the cluster.",
    available_gpus: "Number of GPUs that are free now.",
    in_use_gpus: "Number of GPUs in use by jobs.",
    queued_gpus: "Number of GPUs that waiting jobs asked for.",
    active_reservations: "Number of active jobs.",
    preparing_reservations: "Number of jobs being prepared.",
    queued_reservations: "Number of jobs in the queue.",
    pending_reservations: "Always 0; kept for existing clients.",
    by_gpu_type: "The same numbers for each GPU type.",
    estimate_errors: "How wrong the estimates of the latest starts were, for each GPU type that had starts.",
    starts: "Number of starts that the figures are computed from.",
    covered: "Share of those starts, 0 to 1, that came no later than `estimated_start_latest` said.",
    median_error: "Median error of `estimated_start_time`, as a share of the real wait.",
  },
  operations: {
    status: {
      id: "getClusterStatus",
      reply: "ClusterStatus",
      replies: {
        200: {
          examples: {
            "A busy cluster": {
              total_gpus: 64,
              available_gpus: 32,
              in_use_gpus: 24,
              queued_gpus: 8,
              active_reservations: 5,
              preparing_reservations: 1,
              queued_reservations: 2,
              pending_reservations: 0,
              by_gpu_type: {
                h100: { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 4, max_per_node: 8 },
              },
              estimate_errors: { h100: { starts: 200, covered: 0.87, median_error: 0.15 } },
              timestamp: "2026-01-20T18:30:00Z",
            },
          },
        },
      },
    },
  },
};
