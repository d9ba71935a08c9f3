import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { nextUseCheckAt } from "#core/environments/steps/auto-stop.ts";
import { MINUTE_MS } from "#core/units.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { idlePolicy } from "./internal/new-instance.ts";
import { Timestamp } from "./schemas.ts";

const AutoStopStats = z
  .object({
    schedulerRunning: z.boolean().describe("Whether every instance is checked in time."),
    checkIntervalMinutes: z.int().describe("Minutes between two checks."),
    defaultInactivityThresholdMinutes: z.int().describe("Minutes without use after which an instance is stopped."),
    lastCheckAt: Timestamp.nullable().describe(
      "When one of your instances was last checked; null before the first check.",
    ),
    instancesChecked: z.int().describe("Number of instances checked in the latest interval."),
    instancesStopped: z.int().describe("Number of those that were stopped."),
  })
  .meta({ id: "AutoStopStats" });

const route = createRoute({
  method: "get",
  path: "/api/instances/auto-stop/stats",
  operationId: "getAutoStopStats",
  tags: ["Instances"],
  summary: "What the auto-stop did to your instances",
  responses: {
    200: jsonReply(AutoStopStats, {
      "One was stopped": {
        schedulerRunning: true,
        checkIntervalMinutes: 5,
        defaultInactivityThresholdMinutes: 20,
        lastCheckAt: "2026-01-20T18:05:00.000Z",
        instancesChecked: 3,
        instancesStopped: 1,
      },
    }),
  },
});

export const endpoint = novita.endpoint(route, { uses: ["table"] }, async ({ ctx }) =>
  toStats((await listEnvironments(ctx)).shown, ctx.clock.now()),
);

export const handler = lambda(endpoint, { table });

/**
 * Each instance is checked on its own schedule, so a "run" covers the checks of one interval up to the latest one.
 */
function toStats(instances: readonly Environment[], now: number): z.infer<typeof AutoStopStats> {
  const { everyMs, afterMs } = idlePolicy;
  const checks = instances.flatMap(({ use: { idle } }) => idle ?? []);
  const lastAt = Math.max(...checks.map(({ at }) => at));
  const latest = checks.filter(({ at }) => at > lastAt - everyMs);
  return {
    schedulerRunning: instances.every((instance) => !isOverdue(instance, now)),
    checkIntervalMinutes: everyMs / MINUTE_MS,
    defaultInactivityThresholdMinutes: afterMs / MINUTE_MS,
    lastCheckAt: checks.length > 0 ? milliseconds(lastAt) : null,
    instancesChecked: latest.length,
    instancesStopped: latest.filter(({ verdict, dryRun }) => verdict === "stop" && !dryRun).length,
  };
}

/** Reports whether a check is late by a whole interval. */
function isOverdue(instance: Environment, now: number): boolean {
  return instance.phase === "active" && now > nextUseCheckAt(instance) + idlePolicy.everyMs;
}
