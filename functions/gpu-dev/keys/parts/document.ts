import { AS_PRINTED, type NounDocument } from "#http/noun-document.ts";

const rotated = {
  api_key: "aB3dEf6hQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu012",
  key_prefix: "aB3dEf6h",
  user_id: 42,
  username: "jschmidt",
  expires_at: "2026-01-20T22:00:00Z",
};

import { Keys } from "../wire.ts";

export const document: NounDocument = {
  tag: "Keys",
  schemas: { Key: Keys.shape.keys.element },
  fields: {
    keys: "Your API keys that work.",
    prefix: "The first 8 characters of the API key.",
    key_prefix: "The first 8 characters of the API key, which name it in lists and logs.",
    expires_at: "When the API key expires.",
    last_used_at: "When the API key was last used, to the hour.",
    current: "Whether this request was made with it.",
    status: "The API key is revoked, everywhere after some seconds.",
    api_key: "The new API key. It is shown only in this answer.",
    user_id: "Your user number.",
    username: "Your user name.",
  },
  operations: {
    list: {
      id: "listKeys",
      reply: "KeyList",
      replies: {
        200: {
          examples: {
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
        },
      },
    },
    rotate: {
      id: "rotateKey",
      description:
        "The old key works for a minute more. No key lives beyond 12 hours after the login that began its chain.",
      reply: "RotatedKey",
      replies: {
        200: {
          examples: {
            "A new key": rotated,
            [AS_PRINTED]: { ...rotated, api_key: "new-key-xyz...", key_prefix: "new-key-" },
          },
        },
      },
    },
    revoke: {
      id: "revokeKey",
      parameters: { prefix: "zHfR3kQ9" },
      reply: "RevokedKey",
      replies: { 200: { examples: { Revoked: { key_prefix: "zHfR3kQ9", status: "revoked" } } } },
    },
  },
};
