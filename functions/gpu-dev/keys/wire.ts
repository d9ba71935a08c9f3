import * as z from "zod";
import { Timestamp } from "#http/timestamp.ts";

export const Keys = z.object({
  keys: z.array(
    z.object({
      key_prefix: z.string(),
      created_at: Timestamp,
      expires_at: Timestamp,
      last_used_at: Timestamp,
      current: z.boolean(),
    }),
  ),
  total: z.int(),
});
