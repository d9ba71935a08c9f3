import { createRoute } from "@hono/zod-openapi";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as z from "zod";
import { buildApp } from "#http/app.ts";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { eachRequest, pools, work } from "#http/work.ts";
import { asAlice, fixtureRuntime, key } from "#tests/worlds/fixture-endpoints.ts";
import { consumerLambda, fallbackLambda, lambda, scheduleLambda } from "./lambda.ts";

const before = { ...process.env };
const secret = "s".repeat(32);

beforeEach(() => {
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
  process.env.ORIGIN_SECRETS = secret;
});

afterEach(() => {
  process.env = { ...before };
});

/** Sets the environment of a deployed function. */
function deploy(settings: Record<string, string> = {}): void {
  const identities = { LOGIN_SERVER_ID: "berth", DOMAIN: "berth.dev", ALLOWED_ACCOUNTS: "111111111111" };
  Object.assign(process.env, identities, { ALLOWED_ROLES: "Dev", AWS_LAMBDA_FUNCTION_NAME: "berth-me" }, settings);
}

function toEvent(method: string, rawPath: string, headers: Record<string, string> = {}) {
  const domainName = "abc123.execute-api.us-east-1.amazonaws.com";
  const requestContext = { domainName, http: { method, path: rawPath } };
  return {
    version: "2.0",
    rawPath,
    rawQueryString: "",
    requestContext,
    headers: { "x-berth-origin": secret, ...headers },
  };
}

/** Captures standard output. */
function recordOutput() {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  return { lines, stop: () => write.mockRestore() };
}

/** Endpoint, and a factory that counts how often it creates its port. */
async function fixture() {
  const { ports, clock } = await fixtureRuntime({ expiresAt: Number.MAX_SAFE_INTEGER });
  const made: string[] = [];
  const table = () => {
    made.push("table");
    return ports.table;
  };
  const reply = z.object({ user: z.string() });
  const endpoint = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/me", responses: { 200: jsonReply(reply) } }),
    { uses: [] },
    async ({ ctx }) => ({
      user: ctx.actor.username,
    }),
  );
  return { endpoint, table, made, clock };
}

test("an endpoint answers an event, with its port created once", async () => {
  const { endpoint, table, made } = await fixture();
  const handler = lambda(endpoint, { table });

  const good = await handler(toEvent("GET", "/v1/me", asAlice));
  const bad = await handler(toEvent("GET", "/v1/me"));

  expect(good).toMatchObject({ statusCode: 200, body: '{"user":"alice"}', isBase64Encoded: false });
  expect(good.headers).toMatchObject({ "content-type": "application/json", "cache-control": "no-store" });
  expect(bad).toMatchObject({ statusCode: 401, body: '{"detail":"Not authenticated"}' });
  expect(made).toEqual(["table"]);
});

test("HEAD is answered like GET, without a body", async () => {
  const { endpoint, table } = await fixture();
  const handler = lambda(endpoint, { table });
  const headers = { ...asAlice, "x-request-id": "r1" };

  const get = await handler(toEvent("GET", "/v1/me", headers));
  const head = await handler(toEvent("HEAD", "/v1/me", headers));

  expect(head).toEqual({ ...get, body: "" });
});

test("a request that bypassed the edge is refused before any lookup", async () => {
  const { endpoint, table } = await fixture();
  const handler = lambda(endpoint, { table });

  const guessed = await handler(toEvent("GET", "/v1/me", { ...asAlice, "x-berth-origin": "guessed" }));
  const { headers, ...bare } = toEvent("GET", "/v1/me");
  const around = await handler(bare);

  expect(guessed).toMatchObject({ statusCode: 403, body: '{"message":"Forbidden"}' });
  expect(around).toEqual(guessed);
  expect(headers["x-berth-origin"]).toBe(secret);
});

test("requests without the origin secret leave one line, which contains nothing of them", async () => {
  const { endpoint, table } = await fixture();
  const { lines, stop } = recordOutput();
  const handler = lambda(endpoint, { table });

  for (const guess of ["guessed", "other"]) {
    await handler(toEvent("GET", "/v1/me", { ...asAlice, "x-berth-origin": guess, "x-berth-viewer": "203.0.113.7" }));
  }
  stop();

  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { time: expect.any(String), level: "warn", event: "origin refused", count: 1 },
  ]);
});

test("the log line of a request has the edge's client address, and no forwarded one", async () => {
  const { endpoint, table } = await fixture();
  const { lines, stop } = recordOutput();
  const handler = lambda(endpoint, { table });
  const forged = { ...asAlice, "x-forwarded-for": "198.51.100.1", forwarded: "for=198.51.100.2" };

  await handler(toEvent("GET", "/v1/me", { ...forged, "x-berth-viewer": "203.0.113.7" }));
  await handler(toEvent("GET", "/v1/none", { ...forged, "x-berth-viewer": "2001:db8::1" }));
  await handler(toEvent("GET", "/v1/me", forged));
  stop();

  const requests = lines.map((line) => JSON.parse(line)).filter(({ event }) => event === "request");
  expect(requests.map(({ client }) => client)).toEqual(["203.0.113.7", "2001:db8::1", undefined]);
  expect(lines.join("")).not.toContain("198.51.100");
});

test("the edge's path header counts, and clients cannot set it", async () => {
  const { endpoint, table } = await fixture();
  const handler = lambda(endpoint, { table });
  const event = toEvent("GET", "/v1/else", { ...asAlice, "x-berth-path": "/v1/m%65" });

  expect(await handler(event)).toMatchObject({ statusCode: 200, body: '{"user":"alice"}' });
  event.headers["x-berth-origin"] = "guessed";
  expect(await handler(event)).toMatchObject({ statusCode: 403 });
});

test("the client's address comes from the edge, and its header is removed from the request", async () => {
  const seen: unknown[] = [];
  const reply = z.object({});
  const verb = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/me", responses: { 200: jsonReply(reply) } }),
    { uses: [], public: true },
    async ({ viewer }) => {
      seen.push(viewer);
      return {};
    },
  );
  const handler = lambda(verb, {});

  await handler(toEvent("GET", "/v1/me", { "x-berth-viewer": "203.0.113.7" }));
  await handler(toEvent("GET", "/v1/me"));
  const onLaptop = buildApp(await fixtureRuntime(), [verb]);
  await onLaptop.request("/v1/me", { headers: { "x-berth-viewer": "203.0.113.8" } });

  expect(seen).toEqual(["203.0.113.7", undefined, undefined]);
});

test("an event of an unknown shape is refused, and its log line has only names of fields", async () => {
  const { endpoint, table } = await fixture();
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const handler = lambda(endpoint, { table });

  const answers = [await handler({ httpMethod: "GET", path: "/secret" }), await handler(null)];
  write.mockRestore();

  expect(answers.map(({ statusCode }) => statusCode)).toEqual([400, 400]);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: "error", event: "unknown event", fields: ["httpMethod", "path"] },
    { level: "error", event: "unknown event", fields: "object" },
  ]);
});

test("every line carries its invocation's ids, and answers and batches are counted", async () => {
  process.env.AWS_LAMBDA_LOG_GROUP_NAME = "/berth/dev/me";
  process.env._X_AMZN_TRACE_ID = "Root=1-a-b";
  const { endpoint, table } = await fixture();
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const consumer = work.consume({ uses: ["table"] }, async () => {});

  await lambda(endpoint, { table })(toEvent("GET", "/v1/me"), { awsRequestId: "first" });
  const received = consumerLambda(consumer, { table });
  await received({ Records: [{ messageId: "m", body: "none" }] }, { awsRequestId: "second" });
  await received(null, { awsRequestId: "third" });
  write.mockRestore();

  const said = lines.map((line) => JSON.parse(line));
  expect(said.map(({ event, awsRequestId }) => [event, awsRequestId])).toEqual([
    ["request", "first"],
    ["unreadable messages", "second"],
    ["batch", "second"],
    ["unknown event", "third"],
  ]);
  expect(new Set(said.map(({ trace }) => trace))).toEqual(new Set(["Root=1-a-b"]));
  const counted = said.map(({ _aws }) => _aws?.CloudWatchMetrics[0].Namespace);
  expect(counted).toEqual(["berth/dev", "berth/dev", "berth/dev", "berth/dev"]);
});

test("a key in the base URL is removed from the event's path", async () => {
  const { endpoint, table } = await fixture();
  const handler = lambda(endpoint, { table });

  const good = await handler(toEvent("GET", `/k/${key}/v1/me`));
  const odd = await handler(toEvent("GET", "/k/?#\\/v1/me"));
  const fallback = await fallbackLambda(() => [{ method: "get", path: "/v1/me" }])(toEvent("PUT", `/k/${key}/v1/me`));

  expect(good).toMatchObject({ statusCode: 200, body: '{"user":"alice"}' });
  expect(odd).toMatchObject({ statusCode: 401, body: '{"detail":"Invalid API key"}' });
  expect(fallback).toMatchObject({ statusCode: 405, headers: { allow: "GET" } });
});

test("a deployed function refuses to start if requests would need no key", async () => {
  const { endpoint, table, made } = await fixture();
  deploy({ BERTH_OPEN: "1" });

  expect(() => lambda(endpoint, { table })).toThrow("BERTH_OPEN is for the local stack");

  expect(made).toEqual([]);
});

test("ports are created at init on Lambda, and elsewhere not before the first event", async () => {
  const { endpoint, table, made } = await fixture();

  lambda(endpoint, { table });
  expect(made).toEqual([]);

  deploy();
  lambda(endpoint, { table });
  expect(made).toEqual(["table"]);
});

test("the init of a deployed function fails with the names of missing settings", async () => {
  const { endpoint, table } = await fixture();
  deploy({ ORIGIN_SECRETS: "", LOGIN_SERVER_ID: "" });

  expect(() => lambda(endpoint, { table })).toThrow("LOGIN_SERVER_ID must be set");
  process.env.LOGIN_SERVER_ID = "berth";
  expect(() => lambda(endpoint, { table })).toThrow("ORIGIN_SECRETS must be secrets of 32");
});

test("the fallback answers 404 for a path that resolves to a route of the same method", async () => {
  const handler = fallbackLambda(() => [{ method: "get", path: "/v1/me" }]);

  const answers = await Promise.all(["GET", "HEAD"].map((method) => handler(toEvent(method, "/v1/x/../me"))));

  expect(answers.map(({ statusCode }) => statusCode)).toEqual([404, 404]);
});

test("the fallback knows all routes and serves none", async () => {
  const handler = fallbackLambda(() => [{ method: "post", path: "/session/create" }]);

  const wrong = await handler(toEvent("GET", "/session/create"));
  const unknown = await handler(toEvent("GET", "/api/v1/x"));

  expect(wrong).toMatchObject({ statusCode: 405, body: '{"error":"Method not allowed"}', headers: { allow: "POST" } });
  expect(unknown).toMatchObject({ statusCode: 404 });
  expect(JSON.parse(unknown.body)).toMatchObject({ code: "ERR_404" });
});

test("a consumer reports the messages that failed, and no others", async () => {
  const { table } = await fixture();
  const consumer = work.consume(
    { uses: ["table"] },
    eachRequest(async (_, { look: recordKey }) => {
      if (recordKey === "bad") throw new Error("no");
    }),
  );
  const Records = ["good", "bad", "good"].map((recordKey, at) => ({
    messageId: `m${at}`,
    body: JSON.stringify({ look: recordKey }),
  }));

  const result = await consumerLambda(consumer, { table })({ Records });

  expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "m1" }] });
});

test("the waiting time of a pool's message is counted, and none of a queue with delays", async () => {
  process.env.AWS_LAMBDA_LOG_GROUP_NAME = "/berth/dev/consumers/plan";
  const { table } = await fixture();
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  const sent = [2_000, 5_000].map((ago) => ({ SentTimestamp: String(Date.now() - ago) }));
  const Records = sent.map((attributes, at) => ({ messageId: `m${at}`, body: '{"look":"a"}', attributes }));

  for (const queue of [pools, work]) {
    await consumerLambda(
      queue.consume({ uses: ["table"] }, async () => {}),
      { table },
    )({ Records });
  }
  write.mockRestore();

  const [ofPools, ofWork] = lines.map((line) => JSON.parse(line));
  expect(ofPools.LagMs).toBeGreaterThanOrEqual(5_000);
  expect(ofPools._aws.CloudWatchMetrics[0].Metrics).toContainEqual({ Name: "LagMs", Unit: "Milliseconds" });
  expect([ofWork.queue, ofWork.LagMs]).toEqual(["work", undefined]);
});

test("a batch that is not from SQS is delivered again as a whole", async () => {
  const { table } = await fixture();
  const consumer = work.consume({ uses: ["table"] }, async () => {});

  const result = await consumerLambda(consumer, { table })({ Records: [{ kinesis: {} }] });

  expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "" }] });
});

test("a schedule runs with its ports", async () => {
  const { table } = await fixture();
  const seen: unknown[] = [];
  const schedule = cron.every({ minutes: 1, uses: ["table"] }, async (ctx) => {
    seen.push(await ctx.table.get({ pk: "none", sk: "-" }));
  });

  await scheduleLambda(schedule, { table })();

  expect(seen).toEqual([undefined]);
});

test("a failed schedule is an error to Lambda, which its alarms count", async () => {
  const { table } = await fixture();
  const schedule = cron.every({ minutes: 1, uses: ["table"] }, async () => {
    throw new Error("no cluster");
  });

  await expect(scheduleLambda(schedule, { table })()).rejects.toThrow("The schedule failed");
});
