import * as z from "zod";
import { Timestamp } from "#http/answers/timestamp.ts";

export const Me = z
  .object({
    username: z.string().describe("Your user name."),
    user_id: z.int().describe("Your user number."),
    is_operator: z.boolean().describe("Whether the calls for operators are there for you."),
    key: z
      .object({
        key_prefix: z.string().describe("The first 8 characters of the API key."),
        kind: z
          .enum(["login", "rotation"])
          .describe("`login` for a key that a login issued, `rotation` for one that took the place of another."),
        expires_at: Timestamp.describe("When the API key stops working."),
        chain_ends_at: Timestamp.describe(
          "No key that this one is exchanged for works longer: then you have to log in again.",
        ),
      })
      .meta({ id: "OwnKey" })
      .describe("The API key that this request was made with."),
    limits: z
      .object({
        min_duration_hours: z.number().describe("The shortest time that a job may ask for."),
        max_duration_hours: z.number().describe("The longest time that a job, or one extension, may ask for."),
        max_total_hours: z.number().describe("The longest time of a job, with all extensions."),
        max_waiting_jobs: z
          .int()
          .nullable()
          .describe("How many of your jobs may wait for one type of machine. Null for any number."),
        max_keys: z.int().describe("How many API keys you may have that work."),
      })
      .meta({ id: "OwnLimits" })
      .describe("What you may ask for."),
  })
  .meta({ id: "Me" });
