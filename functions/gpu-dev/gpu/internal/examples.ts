const open = { open: true, closed_reason: null, largest_free: 8, count_options: [1, 2, 4, 8, 16], scalable: 0 };

const h100 = { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 4, max_per_node: 8, ...open };

const a100 = { gpu_type: "a100", total: 16, available: 12, in_use: 4, queued: 0, max_per_node: 8, ...open };

export const availabilityExamples = {
  200: { "Two types": { availability: { h100, a100 }, timestamp: "2026-01-20T18:30:00Z" } },
};
