import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { answer } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { memoryQueue } from "../fakes/memory-queue.ts";
import { memoryTable } from "../fakes/memory-table.ts";
import { testCliPackage } from "../fixtures/cli-package.ts";
import { manualClock } from "../fixtures/clock.ts";
import { seededIds } from "../fixtures/ids.ts";
import { recordingLog } from "../fixtures/log.ts";
import { testSettings } from "../fixtures/settings.ts";

/** Small endpoints for tests of the request handling. */
export const things = {
  show: gpuDev.endpoint(
    createRoute({
      method: "get",
      path: "/v1/things/{thing_id}",
      request: { params: z.object({ thing_id: z.string() }) },
      responses: { 200: jsonReply(Thing()) },
    }),
    { uses: [] },
    async ({ ctx, params }) => ({ id: params.thing_id, user: ctx.actor.username, hidden: "never shown" }),
  ),
  make: gpuDev.endpoint(
    createRoute({
      method: "post",
      path: "/v1/things/make",
      request: { body: jsonBody(ThingRequest()) },
      responses: { 200: jsonReply(z.object({ name: z.string() })) },
    }),
    { uses: ["queue"] },
    async ({ body }) => ({ name: body.name }),
  ),
  list: gpuDev.endpoint(
    createRoute({
      method: "get",
      path: "/v1/things",
      request: { query: z.object({ limit: wholeNumber(1, 500).default(50), status: z.string().optional() }) },
      responses: { 200: jsonReply(z.object({ limit: z.number(), status: z.string().nullable() })) },
    }),
    { uses: ["table"] },
    async ({ query }) => ({ limit: query.limit, status: query.status ?? null }),
  ),
  page: gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/page", responses: { 200: jsonReply(z.string()) } }),
    { uses: [], public: true },
    async () => answer("<p>ok</p>", { contentType: "text/html; charset=utf-8", headers: { "X-Page": "1" } }),
  ),
};

export const key = "good-key_0123456789";
export const aliceUid = "a1".repeat(16);
const start = Date.UTC(2026, 0, 20, 18);

/** Returns a memory runtime in which `key` belongs to alice for two hours. */
export async function fixtureRuntime(record: Readonly<Record<string, unknown>> = {}) {
  const clock = manualClock(start);
  const ids = seededIds(1, clock);
  const log = recordingLog();
  const ports = { table: memoryTable(), queue: memoryQueue({ clock }) };
  const item = {
    pk: `key#${ids.hash(key)}`,
    sk: "-",
    writers: ["w1"],
    kind: "key",
    uid: aliceUid,
    username: "alice",
    number: 42,
    prefix: "good-key",
    createdAt: start,
    expiresAt: start + 7_200_000,
    revokedAt: null,
    disabled: false,
    loginAt: start,
    ttl: start / 1000 + 8 * 24 * 3600,
  };
  await ports.table.put({ ...item, ...record });
  const deployment = { version: "1.0.0", startedAt: start, isolation: "none", limits: "none", cli: testCliPackage };
  return { ports, clock, ids, log, settings: testSettings(), deployment };
}

export const asAlice = { Authorization: `Bearer ${key}` };

function Thing() {
  return z.object({ id: z.string(), user: z.string() });
}

function ThingRequest() {
  return z.object({
    name: z.string().min(2).max(8),
    kind: z.enum(["a", "b"]).default("a"),
    hours: z.number().min(0.5).max(72).default(1),
    size: z.int().min(10).max(100).default(10),
    label: z
      .string()
      .regex(/^[a-z]+$/)
      .optional(),
    disk: z
      .string()
      .regex(/^[a-z]+$/, "Disk name must be plain")
      .optional(),
    env_vars: z
      .record(z.string().regex(/^[A-Z]+$/, "Bad name"), z.union([z.string(), z.number()]), "Env must be flat")
      .default({}),
    api_key: z.string().min(16).optional(),
    pair: z
      .string()
      .refine((text) => text.includes("="), "Must hold a pair")
      .optional(),
  });
}
