const delivery = {
  delivery_id: "evt_1768933800000_0123456789abcdef0123456789abcdef_3",
  environment_id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  environment_name: "training-run",
  api: "gpu-dev",
  run: 1,
  phase: "active",
  step: null,
  created_at: "2026-01-20T18:30:00Z",
};

const refused = { number: 1, at: "2026-01-20T18:30:00Z", status: 503, error: null };

const taken = { number: 2, at: "2026-01-20T18:30:01Z", status: 204, error: null };

const delivered = {
  ...delivery,
  state: "delivered",
  attempt_count: 2,
  attempts: [refused, taken],
  next_attempt_at: null,
  ended_at: taken.at,
};

const waiting = {
  ...delivery,
  state: "waiting",
  attempt_count: 2,
  attempts: [refused, taken],
  next_attempt_at: "2026-01-20T18:35:00Z",
  ended_at: null,
};

export const listExamples = {
  200: { "One that came the second time": { deliveries: [delivered], next: null } },
};

export const resendExamples = {
  200: { "On its way again": waiting },
};
