import { createRoute } from "@hono/zod-openapi";
import { expect, expectTypeOf, test } from "vitest";
import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { answer } from "./answers/answer.ts";
import { buildApp } from "./app.ts";
import { gpuDev } from "./dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "./route.ts";
import type { Served } from "./runtime.ts";

const Status = z.object({ status: z.enum(["on", "off"]) });
test("an endpoint is plain data with the documented defaults", () => {
  const endpoint = gpuDev.endpoint(
    createRoute({ method: "post", path: "/v1/x", responses: { 200: jsonReply(Status) } }),
    { uses: ["queue"] },
    async () => ({
      status: "on" as const,
    }),
  );

  expect(endpoint).toMatchObject({
    kind: "endpoint",
    method: "post",
    path: "/v1/x",
    uses: ["queue", "table"],
    public: false,
    status: 200,
    timeoutSeconds: 10,
    memoryMb: 512,
    params: undefined,
    query: undefined,
    body: undefined,
  });
  expect(endpoint.dialect.name).toBe("gpu-dev");
});

test("a waiting endpoint times out before the edge, and one that runs a command has its own address", () => {
  const reply = z.object({});
  const paced = (pace: "atOnce" | "waits" | "execs", timeoutSeconds?: number) => {
    const input = timeoutSeconds === undefined ? {} : { timeoutSeconds };
    const endpoint = gpuDev.endpoint(
      createRoute({ method: "post", path: "/v1/x", responses: { 200: jsonReply(reply) } }),
      { uses: [], pace, ...input },
      async () => ({}),
    );
    return [endpoint.timeoutSeconds, endpoint.functionUrl];
  };

  expect([paced("atOnce"), paced("waits"), paced("execs")]).toEqual([
    [10, false],
    [29, false],
    [175, true],
  ]);
  expect([paced("waits", 27), paced("atOnce", 20)]).toEqual([
    [27, false],
    [20, false],
  ]);
});

test("a verb's types come from its options", () => {
  const body = z.object({ hours: z.number().default(1) });
  const params = z.object({ id: z.string() });
  const request = { params, body: jsonBody(body) };
  const route = createRoute({ method: "post", path: "/v1/x/{id}", request, responses: { 200: jsonReply(Status) } });
  gpuDev.endpoint(route, { uses: ["queue"] }, async (input) => {
    expectTypeOf(input.params).toEqualTypeOf<{ id: string }>();
    expectTypeOf(input.body).toEqualTypeOf<{ hours: number }>();
    expectTypeOf(input.query).toEqualTypeOf<undefined>();
    expectTypeOf(input.ctx).toEqualTypeOf<Served<UserContext<"queue">>>();
    return answer({ status: "on" as const }, { status: 201 });
  });
  gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/open", responses: { 200: jsonReply(Status) } }),
    { uses: [], public: true },
    async ({ ctx }) => {
      expectTypeOf(ctx).not.toHaveProperty("actor");
      expectTypeOf(ctx).not.toHaveProperty("table");
      return { status: "off" as const };
    },
  );

  const plain = createRoute({ method: "get", path: "/v1/x", responses: { 200: jsonReply(Status) } });
  // @ts-expect-error the schema does not have this value
  gpuDev.endpoint(plain, { uses: [] }, async () => ({ status: "maybe" as const }));
  // @ts-expect-error the reply lacks a field
  gpuDev.endpoint(plain, { uses: [] }, async () => ({}));
  // @ts-expect-error the schema does not have this value in an answer's body
  gpuDev.endpoint(plain, { uses: [] }, async () => answer({ status: "maybe" as const }, {}));
});

test("the compiler refuses to compose an endpoint without its ports", async () => {
  const login = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/a", responses: { 200: jsonReply(Status) } }),
    { uses: ["identity"] },
    async () => ({
      status: "on" as const,
    }),
  );
  const runtime = await fixtureRuntime();

  // @ts-expect-error the runtime has no identity port
  const app = buildApp(runtime, [login]);

  expect(app.routes).toHaveLength(1);
});
