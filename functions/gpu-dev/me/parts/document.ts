import type { NounDocument } from "#http/noun-document.ts";
import { Me } from "../wire.ts";

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

export const document: NounDocument = {
  tag: "Keys",
  schemas: { OwnKey: Me.shape.key, OwnLimits: Me.shape.limits },
  fields: {
    username: "Your user name.",
    user_id: "Your user number.",
    is_operator: "Whether the calls for operators are there for you.",
    key: "The API key that this request was made with.",
    key_prefix: "The first 8 characters of the API key.",
    kind: "`login` for a key that a login issued, `rotation` for one that took the place of another.",
    expires_at: "When the API key stops working.",
    chain_ends_at: "No key that this one is exchanged for works longer: then you have to log in again.",
    limits: "What you may ask for.",
    min_duration_hours: "The shortest time that a job may ask for.",
    max_duration_hours: "The longest time that a job, or one extension, may ask for.",
    max_total_hours: "The longest time of a job, with all extensions.",
    max_waiting_jobs: "How many of your jobs may wait for one type of machine. Null for any number.",
    max_keys: "How many API keys you may have that work.",
  },
  operations: {
    get: { id: "getMe", reply: "Me", replies: { 200: { examples: { "A user after a login": developer } } } },
  },
};
