import * as z from "zod";
import { Timestamp } from "#http/answers/timestamp.ts";

const Up = z.enum(["up", "down"]);
const Healthy = z.enum(["healthy", "unhealthy"]);

const DiscoveryCli = z
  .object({
    version: z.string().describe("The version of Berth."),
    path: z.string().describe("The path of the login."),
    sha256: z.string().describe("The SHA-256 of the tarball, in hex."),
    min_version: z.string().describe("The oldest version of the command line that this deployment accepts."),
  })
  .meta({ id: "DiscoveryCli" });

export const Discovery = z
  .object({
    service: z.literal("berth").describe("Always `berth`."),
    version: z.string().describe("The version of Berth."),
    min_client_version: z
      .string()
      .describe("The oldest version of the command line and of the SDK that this deployment still serves."),
    login: z
      .object({
        path: z.string().describe("The path of the login."),
        server_id: z.string().describe("The value of the signed `x-berth-server-id` header."),
        sts_origins: z.array(z.string()).describe("The STS addresses that a signed request may be made for."),
        region: z.string().nullable().describe("The AWS region of the deployment. Null if unknown."),
      })
      .meta({ id: "DiscoveryLogin" })
      .describe("How to log in."),
    paths: z
      .object({
        docs: z.string().describe("The interactive documentation."),
        openapi: z.string().describe("The OpenAPI document."),
        console: z
          .string()
          .nullable()
          .describe("The web console: a path, or a URL if it has a host of its own. Null if the deployment has none."),
      })
      .meta({ id: "DiscoveryPaths" })
      .describe("Paths for people and for generators."),
    ssh: z
      .object({
        host: z.string().describe("The host name or address."),
        port: z.int().describe("The port."),
        host_keys: z
          .array(z.string())
          .describe("Its public keys for `known_hosts`, the present one first; two while a key is exchanged."),
      })
      .nullable()
      .describe("The SSH server for all jobs. Null if each job has its own address."),
    cli: DiscoveryCli.nullable().describe("The command line that this deployment serves. Null if it serves none."),
  })
  .meta({ id: "Discovery" });

export const Health = z
  .object({
    status: Healthy.describe("`healthy`, or `unhealthy` with status 503."),
    reason: z.string().optional().describe("The reason for 503; absent otherwise."),
    timestamp: Timestamp.describe("When these values were read."),
    uptime: z.string().describe("Time since the deployment or the start of the server, as Go prints durations."),
    uptimeSeconds: z.int().describe("The same in whole seconds."),
    version: z.string().describe("The version of Berth."),
    service: z.literal("berth").describe("Always `berth`."),
    database: Healthy.describe("Whether records can be read."),
    queue: Healthy.describe("Whether messages can be read."),
    cluster: z
      .object({
        reachable: z.boolean().describe("Whether it answered."),
        since: Timestamp.nullable().describe("When that changed last; null if never."),
      })
      .describe("The cluster that environments run on, as its latest listing found it."),
    isolation: z.string().describe("How environments are isolated from the machine, on a local stack."),
    limits: z.string().describe("How the memory and processors of environments are limited, on a local stack."),
    services: z
      .object({
        jobQueue: Up.describe("`up` while the queue is healthy."),
        server: z.enum(["running", "stopped"]).describe("Always `running`."),
        storage: z.enum(["available", "unavailable"]).describe("`available` while the database is healthy."),
      })
      .meta({ id: "HealthServices" })
      .describe("The parts of Berth, one state each."),
  })
  .meta({ id: "Health" });
