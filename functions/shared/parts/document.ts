import type { NounDocument } from "#http/noun-document.ts";
import { Discovery, DiscoveryCli, Health } from "../wire.ts";

const healthy = {
  status: "healthy",
  timestamp: "2026-01-20T18:30:00Z",
  uptime: "2h30m15s",
  uptimeSeconds: 9015,
  version: "1.0.0",
  service: "berth",
  database: "healthy",
  queue: "healthy",
  cluster: { reachable: true, since: null },
  isolation: "bubblewrap, own network",
  limits: "cgroup-v2",
  services: {
    jobQueue: "up",
    server: "running",
    storage: "available",
  },
};

const unhealthy = {
  ...healthy,
  status: "unhealthy",
  reason: "Messages cannot be read",
  queue: "unhealthy",
  services: { ...healthy.services, jobQueue: "down" },
};

const discovery = {
  service: "berth",
  version: "1.0.0",
  min_client_version: "1.0.0",
  login: {
    path: "/v1/auth/aws-login",
    server_id: "berth-local",
    sts_origins: ["https://sts.us-east-1.amazonaws.com"],
    region: "us-east-1",
  },
  paths: { docs: "/docs", openapi: "/openapi.json", console: null },
  ssh: { host: "127.0.0.1", port: 2222 },
  cli: {
    version: "1.0.0",
    path: "/cli/berth.tgz",
    sha256: "5d2f0c2e0b1a4f6f8c7e9d3b1a2c4e6f80912a3b4c5d6e7f8091a2b3c4d5e6f7",
    min_version: "1.0.0",
  },
};

export const document: NounDocument = {
  tag: "Health",
  schemas: {
    HealthServices: Health.shape.services,
    DiscoveryLogin: Discovery.shape.login,
    DiscoveryPaths: Discovery.shape.paths,
    DiscoveryCli,
  },
  fields: {
    "Health.status": "`healthy`, or `unhealthy` with status 503.",
    status: "The state in one word.",
    reason: "What is wrong, in words; absent while all is well.",
    uptime: "Time since the deployment or the start of the server, as Go prints durations.",
    uptimeSeconds: "The same in whole seconds.",
    version: "The version of Berth.",
    service: "Always `berth`.",
    database: "Whether records can be read.",
    queue: "Whether messages can be read.",
    cluster: "The cluster that environments run on, as its latest listing found it.",
    reachable: "Whether it answered.",
    since: "When that changed last; null where it never did.",
    isolation: "How environments are isolated from the machine, on a local stack.",
    limits: "How the memory and processors of environments are limited, on a local stack.",
    services: "The parts of Berth, one state each.",
    jobQueue: "`up` while the queue is healthy.",
    server: "Always `running`.",
    storage: "`available` while the database is healthy.",
    min_client_version: "The oldest version of the command line and of the SDK that this deployment still serves.",
    login: "How to log in.",
    path: "The path of the login.",
    server_id: "The value of the signed `x-berth-server-id` header.",
    sts_origins: "The STS addresses that a signed request may be made for.",
    region: "The AWS region of the deployment. Null where it is not known.",
    paths: "Paths for people and for generators.",
    docs: "The interactive documentation.",
    openapi: "The OpenAPI document.",
    console: "The web console. Null where the deployment has none.",
    cli: "The command line that this deployment serves. Null where it serves none.",
    sha256: "The SHA-256 of the tarball, in hex.",
    min_version: "The oldest version of the command line that this deployment accepts.",
    ssh: "The SSH server that leads into all jobs. Null where each job has an address of its own.",
    host: "The host name or address.",
    port: "The port.",
  },
  operations: {
    health: {
      id: "getHealth",
      description: "One body for the clients of all five APIs.",
      reply: "Health",
      replies: {
        200: {
          examples: {
            Well: healthy,
            "As dev8's document prints it": { ...healthy, timestamp: "2025-10-27T14:30:00Z" },
          },
        },
        503: {
          description: "A store does not answer or takes no writes",
          examples: { "The queue is down": unhealthy },
        },
      },
    },
    ready: {
      id: "getReadiness",
      reply: "Readiness",
      replies: {
        200: { examples: { Ready: { status: "ready" } } },
        503: {
          description: "A store does not answer or takes no writes",
          examples: { "Not ready": { status: "not ready" } },
        },
      },
    },
    live: {
      id: "getLiveness",
      description: "Looks at nothing outside the process.",
      reply: "Liveness",
      replies: { 200: { examples: { Alive: { status: "alive" } } } },
    },
    discovery: {
      id: "getDiscovery",
      description: "Clients read it once for each deployment.",
      reply: "Discovery",
      replies: { 200: { examples: { "A local stack": discovery } } },
    },
  },
  pages: ["cli", "docs", "docs-asset", "openapi"],
};
