import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import type { UserContext } from "#core/context.ts";
import { phases } from "#core/environments/record/phases.ts";
import { type Brief, listEnvironments } from "#core/environments/record/read.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { readAdvice } from "#core/pools/forecast/advice.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { type DialectName, dialectNames, isDialectName } from "#http/dialect.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { statusReason } from "../jobs/internal/status.ts";

const Apis = z
  .string()
  .transform((text) => text.split(",").map((word) => word.trim()))
  .pipe(z.array(z.enum(dialectNames)))
  .optional();

const ListEnvironments = z.object({
  ended: z
    .enum(["true", "false"])
    .optional()
    .describe("`false`: only those that have not ended. `true`: only ended ones."),
  api: Apis.describe("Only those of one of these APIs: one, or several separated by commas."),
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});

const EnvironmentSummary = z
  .object({
    id: z.string().describe("The environment's id in its API."),
    api: z.enum(dialectNames).describe("The API that made it, and that changes it."),
    name: z.string().describe("The environment's name, for people."),
    phase: z.enum(phases).describe("The state of its record, in the same words for all APIs."),
    reason: z.string().nullable().describe("Why it waits, what it is preparing, or why it ended."),
    gpu_type: z.string().describe("The type of GPU."),
    gpu_count: z.int().describe("Number of GPUs."),
    queue_position: z.int().nullable().describe("Its place among those that wait for this type; null if it has none."),
    estimated_start_time: Timestamp.nullable().describe("When it should start; null unless it waits, or if unknown."),
    disk_name: z.string().nullable().describe("Its named disk; null if it has none."),
    created_at: Timestamp.describe("When it was created."),
    expires_at: Timestamp.nullable().describe("When its time is over; null if it has no end, or before its start."),
    ended_at: Timestamp.nullable().describe("When it ended; null until then."),
    links: z
      .object({
        self: z.string().describe("The path of its own call."),
        page: z.string().nullable().describe("The address of its first HTTP port; null if it has none now."),
      })
      .meta({ id: "EnvironmentLinks" })
      .describe("Where to go on."),
  })
  .meta({ id: "EnvironmentSummary" });

const Environments = z
  .object({
    environments: z.array(EnvironmentSummary).describe("Your environments, newest first."),
    total: z.int().describe("Number of entries that match."),
    limit: z.int().describe("Maximum number of entries to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "AllEnvironments" });

const example = {
  id: "9e41c7d3-5b00-4c1a-8000-0123456789ab",
  api: "gpu-dev",
  name: "my-training",
  phase: "active",
  reason: null,
  gpu_type: "h100",
  gpu_count: 8,
  queue_position: null,
  estimated_start_time: null,
  disk_name: "my-data",
  created_at: "2026-01-20T18:00:00Z",
  expires_at: "2026-01-21T02:00:00Z",
  ended_at: null,
  links: { self: "/v1/jobs/9e41c7d3-5b00-4c1a-8000-0123456789ab", page: null },
};

const route = createRoute({
  method: "get",
  path: "/v1/environments",
  operationId: "listAllEnvironments",
  tags: ["Jobs"],
  summary: "List your environments of all APIs",
  description: "Read only: each environment is changed by the calls of the API that made it.",
  request: { query: ListEnvironments },
  parameters: [{ name: "api", in: "query", example: "novita,dev8" }],
  responses: {
    200: jsonReply(Environments, { "One job": { environments: [example], total: 1, limit: 50, offset: 0 } }),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table"], etag: ["estimated_start_time"] },
  async ({ ctx, query: { ended, api, limit, offset } }) => {
    const matches = (brief: Brief) => ended === undefined || isEnded(brief) === (ended === "true");
    const dialects = dialectNames.filter((dialect) => api?.includes(dialect) ?? true);
    const lists = await Promise.all(
      dialects.map((dialect) => listEnvironments({ ...ctx, dialect }, { matches, limit: offset + limit })),
    );
    const newestFirst = lists
      .flatMap(({ shown }) => shown)
      .toSorted((left, right) => right.createdAt - left.createdAt || (left.uid < right.uid ? 1 : -1));
    const page = newestFirst.slice(offset, offset + limit);
    const advice = await readAdvice(ctx, page);
    return {
      environments: page.map((environment) => toSummary(ctx, environment, advice.get(environment.uid))),
      total: lists.reduce((sum, { total }) => sum + total, 0),
      limit,
      offset,
    };
  },
);

export const handler = lambda(endpoint, { table });

type Advice = Parameters<typeof statusReason>[1]["advice"];

function toSummary(
  ctx: UserContext & { readonly settings: Parameters<typeof statusReason>[1]["settings"] },
  environment: Environment,
  advice: Advice,
): z.infer<typeof EnvironmentSummary> {
  const { id, createdBy, name, phase, size, disk, times, end, createdAt } = environment;
  const now = ctx.clock.now();
  const startsAt = advice?.start ? advice.start.p50 : advice?.place?.startsAt;
  const api = isDialectName(createdBy) ? createdBy : "gpu-dev";
  return {
    id,
    api,
    name,
    phase,
    reason: statusReason(environment, { advice, now, settings: ctx.settings }),
    gpu_type: size.pool,
    gpu_count: size.gpus,
    queue_position: advice?.place?.position ?? null,
    estimated_start_time: startsAt ? wholeSeconds(startsAt) : null,
    disk_name: disk?.name ?? null,
    created_at: wholeSeconds(createdAt),
    expires_at: times.endsAt === null ? null : wholeSeconds(times.endsAt),
    ended_at: end.outcome ? wholeSeconds(end.outcome.at) : null,
    links: { self: `${paths[api]}/${encodeURIComponent(id)}`, page: findPage(ctx, environment) },
  };
}

const paths: Readonly<Record<DialectName, string>> = {
  "gpu-dev": "/v1/jobs",
  "session-manager": "/session",
  onmemos: "/v1/sessions",
  novita: "/api/instances",
  dev8: "/api/v1/environments",
};

function findPage({ settings }: Pick<UserContext, "settings">, environment: Environment): string | null {
  const { phase, end, addressLabel, ports } = environment;
  const hasPage = phase === "active" && end.outcome === null && ports.some(({ kind }) => kind === "http");
  return hasPage && addressLabel !== null ? `${settings.scheme}://${addressLabel}.${settings.domain}/` : null;
}
