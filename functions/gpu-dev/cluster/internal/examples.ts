export const statusExamples = {
  200: {
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
};
