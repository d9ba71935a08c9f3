import * as z from "zod";
import { Timestamp } from "#http/answers/timestamp.ts";

export const Keys = z
  .object({
    keys: z
      .array(
        z
          .object({
            key_prefix: z.string().describe("The first 8 characters of the API key, which name it in lists and logs."),
            created_at: Timestamp.describe("When it was created."),
            expires_at: Timestamp.describe("When the API key expires."),
            last_used_at: Timestamp.describe("When the API key was last used, to the hour."),
            current: z.boolean().describe("Whether this request was made with it."),
          })
          .meta({ id: "Key" }),
      )
      .describe("Your API keys that work."),
    total: z.int().describe("Number of entries in all."),
  })
  .meta({ id: "KeyList" });
