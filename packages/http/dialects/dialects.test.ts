import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { HttpError } from "../answers/http-error.ts";
import { buildApp } from "../app.ts";
import { type DialectName, dialectNames, type HttpProblemKind } from "../dialect.ts";
import { jsonBody, jsonReply } from "../route.ts";
import { dev8 } from "./dev8.ts";
import { gpuDev } from "./gpu-dev.ts";
import { novita } from "./novita.ts";
import { onmemos } from "./onmemos.ts";
import { sessionManager } from "./session-manager.ts";

const fixtures = {
  "gpu-dev": { declare: gpuDev, path: "/v1/fixture" },
  "session-manager": { declare: sessionManager, path: "/session/fixture" },
  onmemos: { declare: onmemos, path: "/v1/sessions/fixture" },
  novita: { declare: novita, path: "/api/fixture" },
  dev8: { declare: dev8, path: "/api/v1/fixture" },
} as const satisfies Record<DialectName, object>;

/** An app with one endpoint of the dialect. Its verb throws the problem that the body names. */
async function getFixture(dialect: DialectName, record = {}) {
  const { declare, path } = fixtures[dialect];
  const runtime = await fixtureRuntime(record);
  const body = z.object({ name: z.string().min(2).optional(), refuse: z.string().optional() });
  const responses = { 200: jsonReply(z.object({})) };
  const route = createRoute({ method: "post", path, request: { body: jsonBody(body) }, responses });
  const endpoint = declare.endpoint(route, { uses: [] }, async (input) => {
    if (input.body.refuse === "unexpected") throw new Error("secret internals");
    if (input.body.refuse !== undefined) throw new HttpError(input.body.refuse as HttpProblemKind);
    return {};
  });
  return buildApp(runtime, [endpoint]);
}

interface Row {
  readonly situation: HttpProblemKind;
  readonly status: number;
  /**
   * gpu-dev, session-manager, onmemos, novita code and message, dev8 error and message:
   * docs/apis/common.md#order-of-checks-and-errors.
   */
  readonly words: readonly [gpuDev: string, session: string, onmemos: string, novita: string, dev8: string];
}

const same = (text: string) => [text, text, text] as const;
const tooLarge = "Request body too large";
const encoded = "Content-Encoding is not supported: send the request body uncompressed";
const repeated = "Idempotency-Key was already used with a different request";
const noUser = "User account is disabled";
const failure = "An unexpected error occurred. Please try again later.";

const rows: Row[] = [
  {
    situation: "noKey",
    status: 401,
    words: [
      ...(["Not authenticated", "API key required", "Not authenticated"] as const),
      ...(["UNAUTHORIZED/Not authenticated", "Unauthorized/Not authenticated"] as const),
    ],
  },
  {
    situation: "badKey",
    status: 401,
    words: [...same("Invalid API key"), "UNAUTHORIZED/Invalid API key", "Unauthorized/Invalid API key"],
  },
  { situation: "disabledUser", status: 403, words: [...same(noUser), `FORBIDDEN/${noUser}`, `Forbidden/${noUser}`] },
  {
    situation: "unknownPath",
    status: 404,
    words: [
      ...(["Not Found", "Not found", "Not Found"] as const),
      ...(["NOT_FOUND/Route POST /api/nope not found", "Resource Not Found/Route not found"] as const),
    ],
  },
  {
    situation: "wrongMethod",
    status: 405,
    words: [
      ...(["Method Not Allowed", "Method not allowed", "Method Not Allowed"] as const),
      ...(["METHOD_NOT_ALLOWED/Method not allowed", "Method Not Allowed/Method not allowed"] as const),
    ],
  },
  {
    situation: "tooLarge",
    status: 413,
    words: [...same(tooLarge), `PAYLOAD_TOO_LARGE/${tooLarge}`, `Payload Too Large/${tooLarge}`],
  },
  {
    situation: "encodedBody",
    status: 415,
    words: [...same(encoded), `UNSUPPORTED_MEDIA_TYPE/${encoded}`, `Unsupported Media Type/${encoded}`],
  },
  {
    situation: "badJson",
    status: 400,
    words: [
      ...(["json_invalid", "Invalid JSON body", "Invalid JSON body"] as const),
      ...(["VALIDATION_ERROR/Invalid JSON body", "Invalid request body/Please check your JSON payload"] as const),
    ],
  },
  {
    situation: "badFields",
    status: 400,
    words: [
      ...(["string_type", "name must be a string", "name must be a string"] as const),
      ...(["VALIDATION_ERROR/Validation failed", "Invalid Request/name must be a string"] as const),
    ],
  },
  {
    situation: "otherRequest",
    status: 409,
    words: [...same(repeated), `IDEMPOTENCY_CONFLICT/${repeated}`, `Conflict/${repeated}`],
  },
  {
    situation: "tooMany",
    status: 429,
    words: [...same("Too many requests"), "RATE_LIMITED/Too many requests", "Too Many Requests/Too many requests"],
  },
  {
    situation: "unexpected",
    status: 500,
    words: [
      ...same("Internal server error"),
      ...(["INTERNAL_SERVER_ERROR/Internal server error", `Internal Server Error/${failure}`] as const),
    ],
  },
  {
    situation: "unavailable",
    status: 503,
    words: [
      ...same("Service unavailable"),
      ...(["SERVICE_UNAVAILABLE/Service unavailable", "Service Unavailable/Service unavailable"] as const),
    ],
  },
];

/** A request that ends in the situation. */
async function provoke(dialect: DialectName, situation: HttpProblemKind): Promise<Response> {
  const { path } = fixtures[dialect];
  const app = await getFixture(dialect, situation === "disabledUser" ? { disabled: true } : {});
  const post = (body: string, headers: Record<string, string> = asAlice, to: string = path) =>
    app.request(to, { method: "POST", body, headers: { "X-Request-ID": "r1", ...headers } });
  if (situation === "noKey") return post("{}", {});
  if (situation === "badKey") return post("{}", { "X-API-Key": "unknown-key_0123456789" });
  if (situation === "unknownPath") return post("{}", {}, path.replace("fixture", "nope"));
  if (situation === "wrongMethod") return app.request(path, { method: "PUT" });
  if (situation === "tooLarge") return post(" ".repeat(1_048_577));
  if (situation === "encodedBody") return post("{}", { ...asAlice, "Content-Encoding": "gzip" });
  if (situation === "badJson") return post("[");
  if (situation === "badFields") return post('{"name":1}');
  return post(JSON.stringify({ refuse: situation }));
}

/** The words of an envelope, as the rows above have them. */
function wordsIn(dialect: DialectName, body: ReturnType<typeof JSON.parse>): string {
  if (dialect === "gpu-dev") return typeof body.detail === "string" ? body.detail : body.detail[0].type;
  if (dialect === "session-manager") return body.error;
  if (dialect === "onmemos") return body.detail;
  return dialect === "novita" ? `${body.error.code}/${body.error.message}` : `${body.error}/${body.message}`;
}

/** docs/apis/common.md#error-codes. */
const codes = {
  noKey: "key_missing",
  badKey: "key_invalid",
  disabledUser: "user_disabled",
  unknownPath: "not_found",
  wrongMethod: "invalid",
  tooLarge: "invalid",
  encodedBody: "invalid",
  badJson: "invalid",
  badFields: "invalid",
  otherRequest: "conflict",
  tooMany: "rate",
  unexpected: "internal",
  unavailable: "unavailable",
} as const satisfies Record<HttpProblemKind, string>;

test.each(rows)("every dialect gives $situation the same code", async ({ situation }) => {
  const responses = await Promise.all(dialectNames.map((dialect) => provoke(dialect, situation)));

  const named = responses.map((response) => response.headers.get("Berth-Error"));
  expect(named).toEqual(dialectNames.map(() => codes[situation]));
});

for (const { situation, status, words } of rows) {
  test(`${situation} is ${status} with the words of each dialect`, async () => {
    const responses = await Promise.all(dialectNames.map((dialect) => provoke(dialect, situation)));

    const bodies = await Promise.all(responses.map((response) => response.json()));
    expect(responses.map((response) => response.status)).toEqual(dialectNames.map(() => status));
    expect(bodies.map((body, at) => wordsIn(dialectNames[at] ?? "gpu-dev", body))).toEqual(words);
    expect(JSON.stringify(bodies)).not.toContain("internals");
  });
}

test("the envelopes have exactly the documented keys", async () => {
  const envelope = async (dialect: DialectName, situation: HttpProblemKind) =>
    (await provoke(dialect, situation)).text();

  expect(await envelope("gpu-dev", "badFields")).toBe(
    '{"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":1}]}',
  );
  expect(await envelope("gpu-dev", "badJson")).toBe(
    '{"detail":[{"type":"json_invalid","loc":["body"],"msg":"JSON decode error","input":{}}]}',
  );
  expect(await envelope("session-manager", "noKey")).toBe(
    '{"error":"API key required","message":"Include X-API-Key header"}',
  );
  expect(await envelope("session-manager", "badKey")).toBe('{"error":"Invalid API key"}');
  expect(await envelope("onmemos", "badFields")).toBe('{"detail":"name must be a string"}');
  expect(await envelope("novita", "badFields")).toBe(
    '{"error":{"code":"VALIDATION_ERROR","message":"Validation failed",' +
      '"details":[{"field":"name","message":"name must be a string","value":1}],' +
      '"timestamp":"2026-01-20T18:00:00.000Z","requestId":"r1"}}',
  );
  expect(await envelope("dev8", "badKey")).toBe(
    '{"success":false,"error":"Unauthorized","message":"Invalid API key","code":"ERR_401"}',
  );
});

test("novita repeats a correlation id and gives no details for invalid JSON", async () => {
  const app = await getFixture("novita");
  const headers = { ...asAlice, "X-Correlation-ID": "c1" };

  const response = await app.request("/api/fixture", { method: "POST", body: "[", headers });

  expect(await response.json()).toEqual({
    error: {
      code: "VALIDATION_ERROR",
      message: "Invalid JSON body",
      timestamp: "2026-01-20T18:00:00.000Z",
      requestId: expect.any(String),
      correlationId: "c1",
    },
  });
});

test("only novita and dev8 accept comments in JSON", async () => {
  const body = '{ // a name\n "name": "https://x/*y*/" }';

  const statuses = await Promise.all(
    dialectNames.map(async (dialect) => {
      const app = await getFixture(dialect);
      return (await app.request(fixtures[dialect].path, { method: "POST", body, headers: asAlice })).status;
    }),
  );

  expect(Object.fromEntries(dialectNames.map((dialect, at) => [dialect, statuses[at]]))).toEqual({
    "gpu-dev": 400,
    "session-manager": 400,
    onmemos: 400,
    novita: 200,
    dev8: 200,
  });
});
