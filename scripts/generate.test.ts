import { expect, test } from "vitest";
import * as z from "zod";
import type { Catalog } from "#http/catalog.ts";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { novita } from "#http/dialects/novita.ts";
import { wholeNumber } from "#http/query.ts";
import { pools } from "#http/work.ts";
import { functionList } from "./function-list.ts";
import { type NounDocuments, openApiDocument } from "./openapi-document.ts";

const params = z.object({ id: z.string() });
const reply = z.object({ id: z.string() });
const show = gpuDev.get("/v1/x/{id}", { summary: "Show", uses: [], params, reply }, async () => ({ id: "1" }));
const make = novita.post(
  "/api/x",
  {
    summary: "Make",
    uses: ["queue"],
    reply,
    status: 201,
    timeoutSeconds: 29,
    public: true,
    query: z.object({ limit: wholeNumber(1, 500).default(50) }),
    body: z.object({
      name: z
        .string()
        .min(1)
        .meta({ examples: ["a"] }),
    }),
  },
  async () => ({ id: "1" }),
);

function entry<Declaration>(name: string, declaration: Declaration) {
  return { name, file: `functions/${name}.ts`, declaration };
}

const catalog: Catalog = {
  internal: [],
  endpoints: [entry("novita/x/make-one", make), entry("gpu-dev/x/show", show)],
  consumers: [
    entry(
      "work/pools",
      pools.consume({ uses: ["table"] }, async () => {}),
    ),
  ],
  schedules: [
    entry(
      "cron/capacity",
      cron.every({ minutes: 1, atStart: true, uses: ["table"] }, async () => {}),
    ),
  ],
  fallbacks: [],
  sockets: [],
};

const documents: NounDocuments = new Map([
  [
    "novita/x",
    { tag: "Instances", fields: { id: "Its id.", name: "Its name." }, operations: { "make-one": { id: "makeX" } } },
  ],
  ["gpu-dev/x", { tag: "Jobs", fields: { id: "Its id." }, operations: { show: { id: "showX" } } }],
]);

test("functions.json has a row for each function, by name", () => {
  expect(functionList(catalog)).toEqual([
    {
      name: "cron/capacity",
      file: "functions/cron/capacity.ts",
      kind: "schedule",
      uses: ["table"],
      timeoutSeconds: 50,
      memoryMb: 512,
      minutes: 1,
      atStart: true,
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
      name: "work/pools",
      file: "functions/work/pools.ts",
      kind: "consumer",
      uses: ["table"],
      timeoutSeconds: 60,
      memoryMb: 512,
      queue: "pools",
    },
  ]);
});

test("the document says how each endpoint is called and answered", () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(catalog, documents)));

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
          schema: { required: ["name"], properties: { name: { minLength: 1, description: "Its name." } } },
        },
      },
    },
    responses: { 201: {}, 400: {}, 413: {}, default: {} },
  });
  expect(document.paths["/v1/x/{id}"].get).toMatchObject({
    operationId: "showX",
    tags: ["Jobs"],
    security: [{ bearer: [] }, { apiKey: [] }],
    parameters: [{ name: "id", in: "path", required: true, description: "Its id." }],
    responses: { 200: {}, 401: {}, 403: {}, 404: {}, default: {} },
  });
  expect(document.tags.map(({ name }: { name: string }) => name)).toEqual(["Jobs", "Instances"]);
});

test("an endpoint that its folder's document forgets is refused, and so are fields that nobody describes or nothing has", () => {
  const [made] = catalog.endpoints;
  const only = { endpoints: made ? [made] : [] };
  const saying = (fields: Record<string, string>, verb = "make-one") =>
    new Map([["novita/x", { tag: "Instances", fields, operations: { [verb]: { id: "makeX" } } }]]);

  expect(() => openApiDocument(only, new Map())).toThrow(
    "functions/novita/x/parts/document.ts says nothing of make-one",
  );
  expect(() => openApiDocument(only, saying({}, "make-two"))).toThrow("says nothing of make-one");
  expect(() => openApiDocument(only, saying({ id: "Its id." }))).toThrow("Nobody says what these are:\nnovita/x: name");
  expect(() => openApiDocument(only, saying({ id: "Its id.", name: "Its name.", age: "Its age." }))).toThrow(
    "Nothing has these fields:\nnovita/x age",
  );
});

test("a path whose parameters are not those of its schema is refused", () => {
  const lost = gpuDev.get("/v1/x/{other}", { summary: "X", uses: [], params, reply }, async () => ({ id: "1" }));

  expect(() => openApiDocument({ endpoints: [entry("gpu-dev/x/show", lost)] }, documents)).toThrow(
    "Path and parameters of /v1/x/{other}",
  );
});

const slow = { summary: "Run", uses: [], params, reply, pace: "execs" } as const;
const exec = gpuDev.post("/v1/x/{id}/run", slow, async () => ({ id: "1" }));

test("an endpoint that stays for a command has an address of its own, on a path that no other method has", () => {
  const rows = functionList({ ...catalog, endpoints: [entry("gpu-dev/x/run", exec)] });
  const beside = gpuDev.get("/v1/x/{id}/run", { summary: "Show", uses: [], params, reply }, async () => ({ id: "1" }));
  const long = gpuDev.get("/v1/y", { summary: "Slow", uses: [], reply, timeoutSeconds: 30 }, async () => ({ id: "1" }));

  expect(rows).toContainEqual(
    expect.objectContaining({ name: "gpu-dev/x/run", timeoutSeconds: 175, functionUrl: true }),
  );
  const listed = (...things: (typeof exec | typeof beside | typeof long)[]) =>
    functionList({ ...catalog, endpoints: things.map((declaration, at) => entry(`gpu-dev/x/y${at}`, declaration)) });
  expect(() => listed(exec, beside)).toThrow("POST /v1/x/{id}/run cannot take 175 s where it is");
  expect(() => listed(long)).toThrow("GET /v1/y cannot take 30 s where it is");
});

test("the fields of a form endpoint are described in the query, as a form and as JSON, and none is required in one", () => {
  const body = z.object({ command: z.string(), timeout: wholeNumber(1, 3600).default(120) });
  const options = { summary: "Run", uses: [], form: true, body, reply } as const;
  const run = gpuDev.post("/v1/run", options, async () => ({ id: "1" }));

  const words: NounDocuments = new Map([
    [
      "gpu-dev/x",
      {
        tag: "Jobs",
        fields: { command: "What.", timeout: "How long.", id: "Its id." },
        operations: { run: { id: "runX" } },
      },
    ],
  ]);
  const document = JSON.parse(JSON.stringify(openApiDocument({ endpoints: [entry("gpu-dev/x/run", run)] }, words)));

  const { parameters, requestBody } = document.paths["/v1/run"].post;
  expect(parameters).toMatchObject([
    { in: "query", name: "command", required: false },
    { in: "query", name: "timeout", required: false },
  ]);
  expect(Object.keys(requestBody.content)).toEqual(["application/json", "application/x-www-form-urlencoded"]);
  expect(requestBody.required).not.toBe(true);
});
