import * as z from "zod";
import { Timestamp } from "#http/timestamp.ts";

const Up = z.enum(["up", "down"]);
const Healthy = z.enum(["healthy", "unhealthy"]);

/** The command line that a deployment serves. */
export const DiscoveryCli = z.object({
  version: z.string(),
  path: z.string(),
  sha256: z.string(),
  min_version: z.string(),
});

/** What a client has to know of a deployment before it has a key. */
export const Discovery = z.object({
  service: z.literal("berth"),
  version: z.string(),
  min_client_version: z.string(),
  login: z.object({
    path: z.string(),
    server_id: z.string(),
    sts_origins: z.array(z.string()),
    region: z.string().nullable(),
  }),
  paths: z.object({ docs: z.string(), openapi: z.string(), console: z.string().nullable() }),
  ssh: z.object({ host: z.string(), port: z.int() }).nullable(),
  cli: DiscoveryCli.nullable(),
});

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
