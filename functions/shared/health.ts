import { createRoute } from "@hono/zod-openapi";
import type * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { answer } from "#http/answers/answer.ts";
import { goDuration, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkDependencies } from "./internal/dependencies.ts";
import { Health } from "./schemas.ts";

const exampleHealth = {
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

const route = createRoute({
  method: "get",
  path: "/health",
  operationId: "getHealth",
  tags: ["Health"],
  summary: "Health of Berth and what it depends on",
  description: "One body for the clients of all five APIs.",
  responses: {
    200: jsonReply(Health, {
      Well: exampleHealth,
      "As dev8's document prints it": { ...exampleHealth, timestamp: "2025-10-27T14:30:00Z" },
    }),
    503: jsonReply(
      Health,
      {
        "The queue is down": {
          ...exampleHealth,
          status: "unhealthy",
          reason: "Messages cannot be read",
          queue: "unhealthy",
          services: { ...exampleHealth.services, jobQueue: "down" },
        },
      },
      "A store does not answer or takes no writes",
    ),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], public: true },
  async ({ ctx, deployment }) => {
    const { reason, cluster, ...up } = await checkDependencies(ctx, deployment);
    const now = ctx.clock.now();
    const uptimeSeconds = Math.max(0, Math.floor((now - deployment.startedAt) / 1000));
    const body = {
      status: healthy(reason === undefined),
      ...(reason !== undefined && { reason }),
      timestamp: wholeSeconds(now),
      uptime: goDuration(uptimeSeconds),
      uptimeSeconds,
      version: deployment.version,
      service: "berth" as const,
      database: healthy(up.table),
      queue: healthy(up.queue),
      cluster: { reachable: cluster.reachable, since: cluster.since === null ? null : wholeSeconds(cluster.since) },
      isolation: deployment.isolation,
      limits: deployment.limits,
      services: getServices(up),
    };
    return answer(body, { status: reason === undefined ? 200 : 503 });
  },
);

export const handler = lambda(endpoint, { table, queue });

/** Returns Berth's services with the names of the predecessor's client, which prints them all if one is down. */
function getServices(up: { readonly table: boolean; readonly queue: boolean }): z.infer<typeof Health>["services"] {
  return {
    jobQueue: up.queue ? "up" : "down",
    server: "running",
    storage: up.table ? "available" : "unavailable",
  };
}

function healthy(well: boolean): "healthy" | "unhealthy" {
  return well ? "healthy" : "unhealthy";
}
