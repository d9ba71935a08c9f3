import { afterEach, beforeEach, expect, test } from "vitest";
import * as z from "zod";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { eachLook, work } from "#http/work.ts";
import { asAlice, key, trialRuntime } from "#testing/trial-endpoints.ts";
import { consumerLambda, fallbackLambda, lambda, scheduleLambda } from "./lambda.ts";

const before = process.env.AWS_LAMBDA_FUNCTION_NAME;

beforeEach(() => {
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
});

afterEach(() => {
  delete process.env.BERTH_OPEN;
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
  if (before !== undefined) process.env.AWS_LAMBDA_FUNCTION_NAME = before;
});

function eventOf(method: string, rawPath: string, headers: Record<string, string> = {}) {
  return { version: "2.0", rawPath, rawQueryString: "", headers, requestContext: { http: { method, path: rawPath } } };
}

/** An endpoint, and a factory that counts how often it made its port. */
async function trial() {
  const { ports, clock } = await trialRuntime({ expiresAt: Number.MAX_SAFE_INTEGER });
  const made: string[] = [];
  const table = () => {
    made.push("table");
    return ports.table;
  };
  const reply = z.object({ user: z.string() });
  const endpoint = gpuDev.get("/v1/me", { summary: "Me", uses: [], reply }, async ({ ctx }) => ({
    user: ctx.actor.username,
  }));
  return { endpoint, table, made, clock };
}

test("an event is answered by the endpoint, its port made once", async () => {
  const { endpoint, table, made } = await trial();
  const handler = lambda(endpoint, { table });

  const good = await handler(eventOf("GET", "/v1/me", asAlice));
  const bad = await handler(eventOf("GET", "/v1/me"));

  expect(good).toMatchObject({ statusCode: 200, body: '{"user":"alice"}', isBase64Encoded: false });
  expect(good.headers).toMatchObject({ "content-type": "application/json", "cache-control": "no-store" });
  expect(bad).toMatchObject({ statusCode: 401, body: '{"detail":"Not authenticated"}' });
  expect(made).toEqual(["table"]);
});

test("a key in the base URL is taken off the event's path", async () => {
  const { endpoint, table } = await trial();
  const handler = lambda(endpoint, { table });

  const good = await handler(eventOf("GET", `/k/${key}/v1/me`));
  const odd = await handler(eventOf("GET", "/k/?#\\/v1/me"));
  const fallback = await fallbackLambda(() => [{ method: "get", path: "/v1/me" }])(eventOf("PUT", `/k/${key}/v1/me`));

  expect(good).toMatchObject({ statusCode: 200, body: '{"user":"alice"}' });
  expect(odd).toMatchObject({ statusCode: 401, body: '{"detail":"Invalid API key"}' });
  expect(fallback).toMatchObject({ statusCode: 405, headers: { allow: "GET" } });
});

test("a deployed function refuses to start where requests would need no key", async () => {
  const { endpoint, table, made } = await trial();
  process.env.AWS_LAMBDA_FUNCTION_NAME = "berth-me";
  process.env.BERTH_OPEN = "1";

  expect(() => lambda(endpoint, { table })).toThrow("BERTH_OPEN is for the local stack");

  expect(made).toEqual([]);
});

test("ports are made at init on Lambda, and elsewhere not before the first event", async () => {
  const { endpoint, table, made } = await trial();

  lambda(endpoint, { table });
  expect(made).toEqual([]);

  process.env.AWS_LAMBDA_FUNCTION_NAME = "berth-me";
  lambda(endpoint, { table });
  expect(made).toEqual(["table"]);
});

test("the fallback knows all routes and serves none", async () => {
  const handler = fallbackLambda(() => [{ method: "post", path: "/session/create" }]);

  const wrong = await handler(eventOf("GET", "/session/create"));
  const unknown = await handler(eventOf("GET", "/api/v1/x"));

  expect(wrong).toMatchObject({ statusCode: 405, body: '{"error":"Method not allowed"}', headers: { allow: "POST" } });
  expect(unknown).toMatchObject({ statusCode: 404 });
  expect(JSON.parse(unknown.body)).toMatchObject({ code: "ERR_404" });
});

test("a consumer reports the messages that failed, and no others", async () => {
  const { table } = await trial();
  const consumer = work.consume(
    { uses: ["table"] },
    eachLook(async (_, { look }) => {
      if (look === "bad") throw new Error("no");
    }),
  );
  const Records = ["good", "bad", "good"].map((look, at) => ({ messageId: `m${at}`, body: JSON.stringify({ look }) }));

  const result = await consumerLambda(consumer, { table })({ Records });

  expect(result).toEqual({ batchItemFailures: [{ itemIdentifier: "m1" }] });
});

test("a schedule is run with its ports", async () => {
  const { table } = await trial();
  const seen: unknown[] = [];
  const schedule = cron.every({ minutes: 1, uses: ["table"] }, async (ctx) => {
    seen.push(await ctx.table.get({ pk: "none", sk: "-" }));
  });

  await scheduleLambda(schedule, { table })();

  expect(seen).toEqual([undefined]);
});
