import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import { Conflict, Problem } from "#core/problem.ts";
import { asAlice, fixtureRuntime, key, things } from "#tests/worlds/fixture-endpoints.ts";
import { buildApp } from "./app.ts";
import { gpuDev } from "./dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "./route.ts";

const Nothing = z.object({});

async function fixtureApp() {
  const runtime = await fixtureRuntime();
  return { ...runtime, app: buildApp(runtime, Object.values(things)) };
}

/** An app whose one endpoint throws this. */
async function throwingApp(error: unknown) {
  const runtime = await fixtureRuntime();
  const endpoint = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/throw", responses: { 200: jsonReply(Nothing) } }),
    { uses: [], public: true },
    async () => {
      throw error;
    },
  );
  return { ...runtime, app: buildApp(runtime, [endpoint]) };
}

test("a request with a valid key reaches the verb, and the reply contains only the fields of its schema, in compact JSON", async () => {
  const { app } = await fixtureApp();

  const response = await app.request("/v1/things/t1", { headers: asAlice });

  expect(response.status).toBe(200);
  expect(await response.text()).toBe('{"id":"t1","user":"alice"}');
});

test("every answer has its five headers, even an error", async () => {
  const { app } = await fixtureApp();
  const headers = { "X-Request-ID": "a.B_c-1", "X-Correlation-ID": "corr-1" };

  for (const [path, status] of [
    ["/v1/things/t1", 200],
    ["/v1/nope", 404],
    ["/v1/things", 401],
  ] as const) {
    const sent = status === 200 ? { ...headers, ...asAlice } : headers;
    const response = await app.request(path, { headers: sent });

    expect(response.status).toBe(status);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/json",
      "x-request-id": "a.B_c-1",
      "x-correlation-id": "corr-1",
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
    });
  }
});

test("a malformed request id is replaced, and a malformed correlation id is dropped", async () => {
  const { app } = await fixtureApp();

  for (const bad of ["", "a b", "é", "x".repeat(129)]) {
    const headers = { ...asAlice, "X-Request-ID": bad, "X-Correlation-ID": bad };
    const response = await app.request("/v1/things/t1", { headers });

    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(response.headers.has("x-correlation-id")).toBe(false);
  }
});

test("checks come in order: route, key, size, JSON, fields, id", async () => {
  const runtime = await fixtureRuntime();
  const params = z.object({ id: z.string().regex(/^t\d$/) });
  const request = { params, body: jsonBody(z.object({ n: z.int() })) };
  const route = createRoute({ method: "post", path: "/v1/x/{id}", request, responses: { 200: jsonReply(Nothing) } });
  const app = buildApp(runtime, [gpuDev.endpoint(route, { uses: [] }, async () => ({}))]);
  const post = (path: string, body: string, headers = {}) => app.request(path, { method: "POST", body, headers });
  const huge = `{"n":${" ".repeat(1_048_577)}}`;

  const statuses = await Promise.all([
    post("/v1/y/bad", huge),
    app.request("/v1/x/bad", { method: "PUT", body: huge }),
    post("/v1/x/bad", huge),
    post("/v1/x/bad", huge, asAlice),
    post("/v1/x/bad", "{", asAlice),
    post("/v1/x/bad", '{"n":"x"}', asAlice),
    post("/v1/x/bad", '{"n":1}', asAlice),
    post("/v1/x/t1", '{"n":1}', asAlice),
  ]);

  expect(statuses.map(({ status }) => status)).toEqual([404, 405, 401, 413, 400, 400, 404, 200]);
});

test("a 401 says how to log in, and a public endpoint never checks a key", async () => {
  const { app } = await fixtureApp();

  const closed = await app.request("/v1/things/t1");
  const open = await app.request("/v1/page", { headers: { Authorization: "Bearer ???", "X-API-Key": "???" } });

  expect(closed.headers.get("www-authenticate")).toBe("Bearer");
  expect(open.status).toBe(200);
});

test("an unknown path is 404, and a known one with another method is 405 with the allowed ones", async () => {
  const { app } = await fixtureApp();

  const unknown = await app.request("/v1/things/", { headers: asAlice });
  const wrong = await app.request("/v1/things/make", { method: "DELETE" });
  const options = await app.request("/v1/things", { method: "OPTIONS" });

  expect([unknown.status, await unknown.text()]).toEqual([404, '{"detail":"Not Found"}']);
  expect([wrong.status, await wrong.text()]).toEqual([405, '{"detail":"Method Not Allowed"}']);
  expect(wrong.headers.get("allow")).toBe("GET, POST");
  expect([options.status, options.headers.get("allow")]).toEqual([405, "GET"]);
});

test("HEAD is GET without a body", async () => {
  const { app } = await fixtureApp();

  const response = await app.request("/v1/things/t1", { method: "HEAD", headers: asAlice });

  expect([response.status, await response.text()]).toEqual([200, ""]);
});

test("static segments take precedence over parameters in any order of registration", async () => {
  const runtime = await fixtureRuntime();
  const reply = z.object({ got: z.string() });
  const params = z.object({ id: z.string() });
  const byId = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/x/{id}", request: { params }, responses: { 200: jsonReply(reply) } }),
    { uses: [] },
    async () => ({ got: "id" }),
  );
  const fixed = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/x/fixed", responses: { 200: jsonReply(reply) } }),
    { uses: [] },
    async () => ({ got: "fixed" }),
  );

  for (const endpoints of [
    [byId, fixed],
    [fixed, byId],
  ]) {
    const response = await buildApp(runtime, endpoints).request("/v1/x/fixed", { headers: asAlice });

    expect(await response.json()).toEqual({ got: "fixed" });
  }
});

test("odd paths and headers are ordinary unknown ids", async () => {
  const { app } = await fixtureApp();
  const ids = ["{instanceId}", "%E0%A4%A", "%zz", "%25", "a%2Fb", "💥", "x".repeat(10_000), "%2e%2e%2f", "..."];
  const garbage = { ...asAlice, Accept: "}{", "Content-Type": ";;;", Host: "\u00ff", "X-Request-ID": "<script>" };

  const shown = await Promise.all(
    ids.map(async (id) => (await app.request(`/v1/things/${id}`, { headers: garbage })).json()),
  );

  const decoded = ["{instanceId}", "%E0%A4%A", "%zz", "%", "a/b", "💥", "x".repeat(10_000), "../", "..."];
  expect(shown).toEqual(decoded.map((id) => ({ id, user: "alice" })));
});

test("an id with a NUL is not found, and reaches no verb", async () => {
  const { app } = await fixtureApp();

  const response = await app.request("/v1/things/a%00", { headers: asAlice });

  expect([response.status, await response.json()]).toEqual([404, { detail: "Not Found" }]);
});

test("an endpoint without body fields ignores a body, which must still be an object", async () => {
  const runtime = await fixtureRuntime();
  const cancel = gpuDev.endpoint(
    createRoute({ method: "post", path: "/v1/cancel", responses: { 200: jsonReply(Nothing) } }),
    { uses: [] },
    async () => ({}),
  );
  const app = buildApp(runtime, [cancel]);
  const post = async (body: string | null) =>
    (await app.request("/v1/cancel", { method: "POST", headers: asAlice, body })).status;

  expect([await post(null), await post(""), await post("{}"), await post("[]"), await post("x")]).toEqual([
    ...[200, 200, 200, 400, 400],
  ]);
});

test("a query is read from the raw URL and validated under its own place", async () => {
  const { app } = await fixtureApp();
  const get = async (query: string) => (await app.request(`/v1/things${query}`, { headers: asAlice })).json();

  expect(await get("")).toEqual({ limit: 50, status: null });
  expect(await get("?limit=7&status=a%2Cb+c%")).toEqual({ limit: 7, status: "a,b c%" });
  expect(await get("?limit=x")).toEqual({
    detail: [{ type: "int_type", loc: ["query", "limit"], msg: "Input should be a valid integer", input: "x" }],
  });
  expect(await get("?limit=501")).toMatchObject({ detail: [{ type: "less_than_equal", loc: ["query", "limit"] }] });
});

test("an answer may set its status, content type and headers", async () => {
  const { app } = await fixtureApp();

  const response = await app.request("/v1/page");

  expect(await response.text()).toBe("<p>ok</p>");
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("x-page")).toBe("1");
  expect(response.headers.get("cache-control")).toBe("no-store");
});

test("a Problem is shown with the status of its kind and its own text", async () => {
  const kinds = { invalid: 400, forbidden: 403, notFound: 404, conflict: 409, gone: 410, failed: 500 } as const;

  for (const [kind, status] of Object.entries(kinds)) {
    const { app, log } = await throwingApp(new Problem(kind as keyof typeof kinds, "Disk 'x' is in use"));
    const response = await app.request("/v1/throw");

    expect([response.status, await response.text()]).toEqual([status, `{"detail":"Disk 'x' is in use"}`]);
    expect(log.lines.map(({ event }) => event)).toEqual(["request"]);
  }
});

test("429 and 503 say when to retry", async () => {
  const busy = await throwingApp(new Problem("tooMany", "Slow down", { retryAfterSeconds: 7 }));
  const down = await throwingApp(new Problem("unavailable", "Service unavailable"));

  const responses = [await busy.app.request("/v1/throw"), await down.app.request("/v1/throw")];

  expect(responses.map(({ status }) => status)).toEqual([429, 503]);
  expect(responses.map(({ headers }) => headers.get("retry-after"))).toEqual(["7", "1"]);
});

test("an unknown error is logged with the request id and hidden in the answer", async () => {
  const { app, log } = await throwingApp(new Error(`no such row; /k/${key} Bearer ${key}`));

  const response = await app.request("/v1/throw", { headers: { "X-Request-ID": "r1" } });

  expect([response.status, await response.text()]).toEqual([500, '{"detail":"Internal server error"}']);
  const [line] = log.lines;
  expect(line).toMatchObject({ level: "error", event: "request failed", fields: { requestId: "r1" } });
  expect(JSON.stringify(line)).toContain("no such row");
  expect(JSON.stringify(log.lines)).not.toContain(key);
});

test("a thrown value that is not an error is hidden in the answer too", async () => {
  const { app } = await throwingApp("boom");

  expect((await app.request("/v1/throw")).status).toBe(500);
});

test("an outage of a store and a record with constant conflicts are 503", async () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED 10.0.0.1:443"), { code: "ECONNREFUSED" });

  for (const error of [refused, new Conflict("job#1")]) {
    const { app } = await throwingApp(error);
    const response = await app.request("/v1/throw");

    expect([response.status, await response.text()]).toEqual([503, '{"detail":"Service unavailable"}']);
    expect(response.headers.get("retry-after")).toBe("1");
  }
});

test("a reply that its schema refuses is a 500", async () => {
  const runtime = await fixtureRuntime();
  const wrong = { n: "secret-value" } as unknown as { n: number };
  const reply = z.object({ n: z.number() });
  const endpoint = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/x", responses: { 200: jsonReply(reply) } }),
    { uses: [], public: true },
    async () => wrong,
  );

  const response = await buildApp(runtime, [endpoint]).request("/v1/x");

  expect(response.status).toBe(500);
  expect(JSON.stringify(runtime.log.lines)).not.toContain("secret-value");
});

test("each request has one log line, with the route's pattern and without any key", async () => {
  const { app, log } = await fixtureApp();

  await app.request(`/v1/things/t1?api_key=${key}`, { headers: { ...asAlice, "X-Request-ID": "r1" } });
  await app.request(`/k/${key}/x`, { headers: { "X-API-Key": key, "X-Request-ID": "r2" } });

  const requestFields = {
    requestId: "r1",
    route: "/v1/things/{thing_id}",
    status: 200,
    user: "alice",
    key: "good-key",
  };
  const unknown = { requestId: "r2", route: null, status: 404 };
  expect(log.lines).toHaveLength(2);
  expect(log.lines[0]).toMatchObject({
    event: "request",
    fields: { ...requestFields, method: "GET", dialect: "gpu-dev" },
  });
  expect(log.lines[1]).toMatchObject({ event: "request", fields: unknown });
  expect(log.lines[0]?.fields.ms).toBe(0);
  expect(JSON.stringify(log.lines)).not.toContain(key);
});

test("log lines of a verb carry the request id", async () => {
  const runtime = await fixtureRuntime();
  const route = createRoute({ method: "get", path: "/v1/x", responses: { 200: jsonReply(Nothing) } });
  const endpoint = gpuDev.endpoint(route, { uses: [], public: true }, async ({ ctx }) => {
    ctx.log.warn("send failed", { look: "a|b" });
    return {};
  });

  await buildApp(runtime, [endpoint]).request("/v1/x", { headers: { "X-Request-ID": "r9" } });

  expect(runtime.log.lines[0]).toMatchObject({ event: "send failed", fields: { requestId: "r9", look: "a|b" } });
});

test("an app with the routes of others distinguishes a wrong method from an unknown path", async () => {
  const app = buildApp(await fixtureRuntime(), [], [{ method: "get", path: "/api/instances/{id}" }]);

  const [wrong, unknown] = [await app.request("/api/instances/1", { method: "PUT" }), await app.request("/api/x")];

  expect([wrong.status, wrong.headers.get("allow")]).toEqual([405, "GET"]);
  expect(await unknown.json()).toMatchObject({ error: { message: "Route GET /api/x not found" } });
});

test("every endpoint accepts a key in the base URL like one in a header", async () => {
  const { app } = await fixtureApp();
  const at = (path: string, headers = {}) => app.request(path, { headers });

  const shown = await at(`/k/${key}/v1/things/t1?x=/k/y`);
  const statuses = await Promise.all([
    at(`/k/${key}/v1/things`),
    at(`/%6B/${key.replace("g", "%67")}/v1/things`),
    at("/k/wrong/v1/page"),
    at("/k//v1/page"),
    at("/k/wrong/v1/things"),
    at("/k/wrong-but-long-enough-to-be-one/v1/things"),
    at("/k//v1/things"),
    at("/k//v1/things", asAlice),
    at(`/k/${key}/v1/things`, { Authorization: "Bearer wrong" }),
    at("/k/wrong/v1/things", asAlice),
    at(`/k/${key}/v1/nope`),
    at(`/k/wrong/k/${key}/v1/things`),
    app.request(`/k/${key}/v1/things/make`, { method: "PUT" }),
  ]);

  expect(await shown.json()).toEqual({ id: "t1", user: "alice" });
  expect(statuses.map(({ status }) => status)).toEqual([
    ...[200, 200, 200, 200, 401, 401, 401],
    ...[200, 401, 200, 404, 404, 405],
  ]);
  expect(await statuses[4]?.json()).toEqual({ detail: "Invalid API key" });
  expect(await statuses[6]?.json()).toEqual({ detail: "Not authenticated" });
});

test("a key in the query is ignored", async () => {
  const { app } = await fixtureApp();

  const response = await app.request(`/v1/things?api_key=${key}`);

  expect([response.status, await response.json()]).toEqual([401, { detail: "Not authenticated" }]);
});

test("neither an error in any envelope nor a log line repeats a key of the base URL", async () => {
  const { app, log } = await fixtureApp();
  const paths = ["/api/nope", "/api/v1/nope", "/session/nope", "/v1/sessions/nope", "/v1/nope", ""];
  const encoded = key.replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
  const prefixes = [`/k/${key}`, `/%6b/${encoded}`, `/k/x/k/${key}`, `/api/k/${key}`, `/api/api_key=${key}`];

  const texts = await Promise.all(
    prefixes.flatMap((prefix) => paths.map(async (path) => (await app.request(prefix + path)).text())),
  );

  expect(texts[0]).toContain('"message":"Route GET /api/nope not found"');
  expect(texts.at(-6)).toContain('"message":"Route GET /api/api_key=***');
  expect(texts.filter((text) => text.includes(key) || text.includes("/k/good"))).toEqual([]);
  expect(JSON.stringify(log.lines)).not.toContain(key);
});
