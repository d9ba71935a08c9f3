const developer = {
  username: "jschmidt",
  user_id: 42,
  is_operator: false,
  key: {
    key_prefix: "zHfR3kQ9",
    kind: "login",
    expires_at: "2026-01-20T20:00:00Z",
    chain_ends_at: "2026-01-21T06:00:00Z",
  },
  limits: {
    min_duration_hours: 0.083,
    max_duration_hours: 72,
    max_total_hours: 168,
    max_waiting_jobs: 1000,
    max_keys: 10,
  },
};

export const getExamples = {
  200: { "A user after a login": developer },
};
