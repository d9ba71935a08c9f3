import { createRoute } from "@hono/zod-openapi";
import { expect, test } from "vitest";
import * as z from "zod";
import type { Catalog } from "#http/catalog.ts";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { novita } from "#http/dialects/novita.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { pools } from "#http/work.ts";
import { functionRows } from "./bundling/function-list.ts";
import { openApiDocument } from "./openapi/openapi-document.ts";

const params = z.object({ id: z.string().describe("Its id.") });
const reply = z.object({ id: z.string().describe("Its id.") });
const showRoute = createRoute({
  method: "get",
  path: "/v1/x/{id}",
  operationId: "showX",
  tags: ["Jobs"],
  summary: "Show",
  request: { params },
  responses: {
    200: jsonReply(reply, { One: { id: "1" } }),
    404: problemReply("Not this one", { None: { detail: "No" } }),
  },
});
const show = gpuDev.endpoint(showRoute, { uses: [] }, async () => ({ id: "1" }));
const Thing = z.object({
  name: z
    .string()
    .min(1)
    .meta({ examples: ["a"] })
    .describe("Its name."),
});
const makeRoute = createRoute({
  method: "post",
  path: "/api/x",
  operationId: "makeX",
  tags: ["Instances"],
  summary: "Make",
  request: {
    query: z.object({ limit: wholeNumber(1, 500).default(50).describe("How many.") }),
    body: jsonBody(Thing.meta({ id: "Thing" }), { "The first": { name: "a" } }),
  },
  responses: { 201: jsonReply(reply, {}, "Created") },
});
const make = novita.endpoint(makeRoute, { uses: ["queue"], timeoutSeconds: 29, public: true }, async () => ({
  id: "1",
}));

function entry<Declaration>(name: string, declaration: Declaration) {
  return { name, file: `functions/${name}.ts`, declaration };
}

const catalog: Catalog = {
  internal: [],
  endpoints: [entry("novita/x/make-one", make), entry("gpu-dev/x/show", show)],
  consumers: [
    entry(
      "consumers/pools",
      pools.consume({ uses: ["table"] }, async () => {}),
    ),
  ],
  schedules: [
    entry(
      "schedules/capacity",
      cron.every({ minutes: 1, atStart: true, uses: ["table"] }, async () => {}),
    ),
  ],
  fallbacks: [],
  sockets: [],
};

test("functions.json has a row for each function, by name", () => {
  expect(functionRows(catalog)).toEqual([
    {
      name: "consumers/pools",
      file: "functions/consumers/pools.ts",
      kind: "consumer",
      uses: ["table"],
      timeoutSeconds: 60,
      memoryMb: 512,
      queue: "pools",
    },
    {
      name: "gpu-dev/x/show",
      file: "functions/gpu-dev/x/show.ts",
      kind: "endpoint",
      uses: ["table"],
      timeoutSeconds: 10,
      memoryMb: 512,
      dialect: "gpu-dev",
      route: "GET /v1/x/{id}",
      method: "get",
      path: "/v1/x/{id}",
      public: false,
    },
    {
      name: "novita/x/make-one",
      file: "functions/novita/x/make-one.ts",
      kind: "endpoint",
      uses: ["queue"],
      timeoutSeconds: 29,
      memoryMb: 512,
      dialect: "novita",
      route: "POST /api/x",
      method: "post",
      path: "/api/x",
      public: true,
    },
    {
      name: "schedules/capacity",
      file: "functions/schedules/capacity.ts",
      kind: "schedule",
      uses: ["table"],
      timeoutSeconds: 50,
      memoryMb: 512,
      minutes: 1,
      atStart: true,
    },
  ]);
});

test("the document says how each endpoint is called and answered", () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(catalog)));

  expect(Object.keys(document.paths)).toEqual(["/v1/x/{id}", "/api/x"]);
  expect(document.paths["/api/x"].post).toMatchObject({
    operationId: "makeX",
    summary: "Make",
    tags: ["Instances"],
    security: [],
    parameters: [{ name: "limit", in: "query", required: false, schema: { minimum: 1, maximum: 500, default: 50 } }],
    requestBody: {
      required: true,
      content: {
        "application/json": {
          schema: { $ref: "#/components/schemas/Thing" },
          examples: { "the-first": { summary: "The first", value: { name: "a" } } },
        },
      },
    },
    responses: { 201: {}, 400: {}, 413: {}, default: {} },
  });
  expect(document.components.schemas.Thing).toMatchObject({
    required: ["name"],
    properties: { name: { minLength: 1, description: "Its name." } },
  });
  expect(document.paths["/v1/x/{id}"].get).toMatchObject({
    operationId: "showX",
    tags: ["Jobs"],
    security: [{ bearer: [] }, { apiKey: [] }],
    parameters: [{ name: "id", in: "path", required: true, description: "Its id." }],
    responses: {
      200: { content: { "application/json": { examples: { one: { value: { id: "1" } } } } } },
      401: {},
      403: {},
      404: {
        description: "Not this one",
        content: {
          "application/json": {
            schema: { $ref: "#/components/schemas/GpuDevProblem" },
            examples: { none: { value: { detail: "No" } } },
          },
        },
      },
      default: {},
    },
  });
  expect(document.tags.map(({ name }: { name: string }) => name)).toEqual(["Jobs", "Instances"]);
});

test("an endpoint with an unlisted tag is refused", () => {
  const tagged = createRoute({ ...showRoute, tags: ["Things"] });
  const unknown = gpuDev.endpoint(tagged, { uses: [] }, async () => ({ id: "1" }));

  expect(() => openApiDocument({ endpoints: [entry("gpu-dev/x/show", unknown)] })).toThrow(
    '"Things" of get /v1/x/{id} is not a tag in scripts/openapi/openapi-tags.ts',
  );
});

test("a hidden route is not published, and an operation outside its tag's list comes last", () => {
  const hidden = gpuDev.endpoint(createRoute({ ...showRoute, hide: true }), { uses: [] }, async () => ({ id: "1" }));
  const listed = createRoute({ ...showRoute, path: "/v1/y/{id}", operationId: "cancelJob" });
  const last = gpuDev.endpoint(listed, { uses: [] }, async () => ({ id: "1" }));
  const listPaths = (endpoints: (typeof show)[]) => {
    const document = openApiDocument({ endpoints: endpoints.map((each) => entry("gpu-dev/x/show", each)) });
    return Object.keys((document as { readonly paths: object }).paths);
  };

  expect(listPaths([hidden])).toEqual([]);
  expect(listPaths([show, last])).toEqual(["/v1/y/{id}", "/v1/x/{id}"]);
});

test("one name for two schemas is refused", () => {
  const otherEntry = z.object({ age: z.int().describe("Its age.") }).meta({ id: "Thing" });
  const route = createRoute({ ...makeRoute, path: "/api/y", request: { body: jsonBody(otherEntry) } });
  const endpoint = novita.endpoint(route, { uses: ["queue"], public: true }, async () => ({ id: "1" }));
  const endpoints = [entry("novita/x/make-one", make), entry("novita/x/make-two", endpoint)];

  expect(() => openApiDocument({ endpoints })).toThrow("Thing names two schemas");
});

test("a body that depends on the deployment is published under the settings of a new one", () => {
  const body = perDeployment(({ regions }) => z.object({ region: z.enum(regions.slice(0, 1)).describe("Where.") }));
  const route = createRoute({ ...makeRoute, request: { body: jsonBody(body) } });
  const endpoint = novita.endpoint(route, { uses: ["queue"], public: true }, async () => ({ id: "1" }));

  const document = JSON.parse(JSON.stringify(openApiDocument({ endpoints: [entry("novita/x/make-one", endpoint)] })));

  const { schema } = document.paths["/api/x"].post.requestBody.content["application/json"];
  expect(schema.properties.region).toMatchObject({ type: "string", enum: [expect.any(String)] });
});

test("a path whose parameters differ from its schema is refused", () => {
  const route = createRoute({ ...showRoute, path: "/v1/x/{other}" });
  const lost = gpuDev.endpoint(route, { uses: [] }, async () => ({ id: "1" }));

  expect(() => openApiDocument({ endpoints: [entry("gpu-dev/x/show", lost)] })).toThrow(
    "Path and parameters of /v1/x/{other}",
  );
});

const execRoute = createRoute({
  method: "post",
  path: "/v1/x/{id}/run",
  request: { params },
  responses: { 200: jsonReply(reply) },
});
const exec = gpuDev.endpoint(execRoute, { uses: [], pace: "execs" }, async () => ({ id: "1" }));

test("a slow endpoint has its own address, on a path without other methods", () => {
  const rows = functionRows({ ...catalog, endpoints: [entry("gpu-dev/x/run", exec)] });
  const beside = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/x/{id}/run", request: { params }, responses: { 200: jsonReply(reply) } }),
    { uses: [] },
    async () => ({ id: "1" }),
  );
  const long = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/y", responses: { 200: jsonReply(reply) } }),
    { uses: [], timeoutSeconds: 30 },
    async () => ({ id: "1" }),
  );

  expect(rows).toContainEqual(
    expect.objectContaining({ name: "gpu-dev/x/run", timeoutSeconds: 175, functionUrl: true }),
  );
  const listed = (...things: (typeof exec | typeof beside | typeof long)[]) =>
    functionRows({ ...catalog, endpoints: things.map((declaration, at) => entry(`gpu-dev/x/y${at}`, declaration)) });
  expect(() => listed(exec, beside)).toThrow("POST /v1/x/{id}/run cannot take 175 s without its own address and path");
  expect(() => listed(long)).toThrow("GET /v1/y cannot take 30 s without its own address and path");
});

test("the fields of a form endpoint are described in the query, as a form and as JSON, and none is required in one", () => {
  const body = z.object({ command: z.string(), timeout: wholeNumber(1, 3600).default(120) });
  const route = createRoute({
    method: "post",
    path: "/v1/run",
    tags: ["Jobs"],
    summary: "Run",
    parameters: [{ name: "command", in: "query", example: "pwd" }],
    request: { body: jsonBody(body) },
    responses: { 200: jsonReply(reply) },
  });
  const run = gpuDev.endpoint(route, { uses: [], form: true }, async () => ({ id: "1" }));
  const document = JSON.parse(JSON.stringify(openApiDocument({ endpoints: [entry("gpu-dev/x/run", run)] })));

  const { parameters, requestBody } = document.paths["/v1/run"].post;
  expect(parameters).toMatchObject([
    { in: "query", name: "command", required: false, example: "pwd" },
    { in: "query", name: "timeout", required: false },
  ]);
  expect(Object.keys(requestBody.content)).toEqual(["application/json", "application/x-www-form-urlencoded"]);
  expect(requestBody.required).not.toBe(true);
});
