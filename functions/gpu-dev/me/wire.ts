import * as z from "zod";
import { Timestamp } from "#http/timestamp.ts";

export const Me = z.object({
  username: z.string(),
  user_id: z.int(),
  is_operator: z.boolean(),
  key: z.object({
    key_prefix: z.string(),
    kind: z.enum(["login", "rotation"]),
    expires_at: Timestamp,
    chain_ends_at: Timestamp,
  }),
  limits: z.object({
    min_duration_hours: z.number(),
    max_duration_hours: z.number(),
    max_total_hours: z.number(),
    max_waiting_jobs: z.int().nullable(),
    max_keys: z.int(),
  }),
});
