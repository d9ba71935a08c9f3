import * as z from "zod";
import { Timestamp } from "#http/timestamp.ts";

const Up = z.enum(["up", "down"]);
const Healthy = z.enum(["healthy", "unhealthy"]);

/** One body that holds what five documents read from theirs (docs/apis/common.md#public-endpoints). */
export const Health = z.object({
  status: Healthy,
  reason: z.string().optional(),
  timestamp: Timestamp,
  uptime: z.string(),
  uptimeSeconds: z.int(),
  version: z.string(),
  service: z.literal("berth"),
  database: Healthy,
  queue: Healthy,
  cluster: z.object({ reachable: z.boolean(), since: Timestamp.nullable() }),
  isolation: z.string(),
  limits: z.string(),
  services: z.object({
    jobQueue: Up,
    server: z.enum(["running", "stopped"]),
    storage: z.enum(["available", "unavailable"]),
  }),
});
