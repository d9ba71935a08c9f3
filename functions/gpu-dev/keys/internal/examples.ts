import { AS_PRINTED } from "#http/route.ts";

const rotated = {
  api_key: "aB3dEf6hQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu012",
  key_prefix: "aB3dEf6h",
  user_id: 42,
  username: "jschmidt",
  expires_at: "2026-01-20T22:00:00Z",
};

export const listExamples = {
  200: {
    "One key": {
      keys: [
        {
          key_prefix: "zHfR3kQ9",
          created_at: "2026-01-20T18:00:00Z",
          expires_at: "2026-01-20T20:00:00Z",
          last_used_at: "2026-01-20T18:00:00Z",
          current: true,
        },
      ],
      total: 1,
    },
  },
};

export const rotateExamples = {
  200: {
    "A new key": rotated,
    [AS_PRINTED]: { ...rotated, api_key: "new-key-xyz...", key_prefix: "new-key-" },
  },
};

export const revokeExamples = {
  200: { Revoked: { key_prefix: "zHfR3kQ9", status: "revoked" } },
};
