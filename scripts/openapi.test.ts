import { RE2JS } from "re2js";
import { expect, test } from "vitest";
import { loadCatalog } from "#http/catalog.ts";
import { openApiDocument } from "./openapi/openapi-document.ts";
import { createValidator, listOperations, readDocument } from "./openapi/openapi-reading.ts";
import type { JsonSchema } from "./openapi/openapi-schemas.ts";

const catalog = await loadCatalog();
const document = readDocument(openApiDocument(catalog));
const operations = listOperations(document);
const findFault = createValidator(document);

interface SchemaLocation {
  readonly at: string;
  readonly schema: JsonSchema;
}

/** All schemas of the document, including nested ones, with their paths. */
const schemas: readonly SchemaLocation[] = [
  ...Object.entries(document.components.schemas).flatMap(([name, schema]) => within(name, schema)),
  ...operations.flatMap(({ route, parameters = [], requestBody, responses }) => [
    ...parameters.flatMap(({ name, schema }) => within(`${route} ${name}`, schema)),
    ...Object.values(requestBody?.content ?? {}).flatMap(({ schema }) => within(`${route} body`, schema)),
    ...Object.values(responses).flatMap(({ content }) =>
      Object.values(content).flatMap(({ schema }) => within(`${route} answer`, schema)),
    ),
  ]),
];

/** All examples of the operations, with their schemas. */
const examples = operations.flatMap(({ route, parameters = [], requestBody, responses }) => [
  ...parameters.flatMap(({ name, schema, example }) =>
    example === undefined ? [] : [{ at: `${route} ${name}`, schema, value: example }],
  ),
  ...[requestBody, ...Object.values(responses)].flatMap((part) =>
    Object.values(part?.content ?? {}).flatMap(({ schema, examples: all = {} }) =>
      Object.entries(all).map(([name, { value }]) => ({ at: `${route} ${name}`, schema, value })),
    ),
  ),
]);

function within(at: string, schema: JsonSchema): SchemaLocation[] {
  const parts = [
    ...Object.entries(schema.properties ?? {}),
    ...Object.entries({ items: schema.items, values: schema.additionalProperties, names: schema.propertyNames }),
    ...(schema.anyOf ?? []).map((part, index) => [String(index), part] as const),
  ];
  const inner = parts.flatMap(([name, part]) => (typeof part === "object" ? within(`${at}.${name}`, part) : []));
  return [{ at, schema }, ...inner];
}

/** Syntax of JavaScript or RE2 that Python's `re` lacks. */
const unknownToPython = /\\[pPzQE]|\(\?<[^=!]|\[\[:|\\x\{|\\u\{/;

test("every pattern compiles unchanged in ECMAScript with and without the u flag, in RE2 and in Python", () => {
  const patterns = schemas.flatMap(({ at, schema: { pattern } }) => (pattern === undefined ? [] : [{ at, pattern }]));

  expect(patterns.length).toBeGreaterThan(20);
  for (const { at, pattern } of patterns) {
    for (const flags of ["", "u"]) expect(() => new RegExp(pattern, flags), `${at} ${pattern}`).not.toThrow();
    expect(() => RE2JS.compile(pattern), `${at} ${pattern}`).not.toThrow();
    expect(pattern, at).not.toMatch(unknownToPython);
    // Without the u flag, JavaScript reads an unknown escape as its letter. No pattern may continue after its end.
    expect(pattern, at).not.toMatch(/\$\/|\\[pP]/);
  }
});

test("a published pattern accepts what its rule accepts, and no control character", () => {
  const { SubmitJob, AddJobUser } = document.components.schemas;
  const image = new RegExp(SubmitJob?.properties?.image?.pattern ?? "", "u");
  const github = AddJobUser?.properties?.github_username;
  const isGithubName = (name: string) =>
    new RegExp(github?.pattern ?? "").test(name) && name.length <= Number(github?.maxLength);

  expect(image.test("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime")).toBe(true);
  expect(["a b", "a\u0000", "a\u009f", ""].some((text) => image.test(text))).toBe(false);
  expect(["a", "a-b", "A1-b2-c3", "x".repeat(39)].every(isGithubName)).toBe(true);
  expect(["", "-a", "a-", "a--b", "a_b", "x".repeat(40)].some(isGithubName)).toBe(false);
});

test("whole numbers are integers, and only these fields may be fractions", () => {
  const names = schemas.flatMap(({ at, schema: { type } }) => (type === "number" ? [at.split(".").at(-1)] : []));

  expect([...new Set(names)].toSorted()).toEqual([
    ...["covered", "cpuCores", "duration_hours", "extension_hours", "gpu_hours", "hitRatio", "items"],
    "max_duration_hours",
    ...["max_total_hours", "median_error", "memoryGB", "min_duration_hours"],
    "orphan_gb_hours",
    "orphan_gpu_hours",
    "overallHitRatio",
    "rate",
    "share",
    "uptime",
    "usage",
  ]);
});

test("an object with more than three keys has a name, and no two names mean the same", () => {
  const named = new Set(Object.values(document.components.schemas));
  const inline = schemas.filter(({ schema }) => Object.keys(schema.properties ?? {}).length > 3 && !named.has(schema));
  const shapes = Object.entries(document.components.schemas).map(([name, schema]) => [name, JSON.stringify(schema)]);
  const twice = shapes.filter(([name, shape]) =>
    shapes.some(([otherName, its]) => otherName !== name && its === shape),
  );

  expect(inline.map(({ at }) => at)).toEqual([]);
  expect(twice.map(([name]) => name)).toEqual([]);
  expect([...Object.keys(document.components.schemas)]).toEqual(
    expect.arrayContaining([
      "Job",
      "JobSummary",
      "Disk",
      "DiskOperation",
      "Instance",
      "Workspace",
      "Session",
      "Availability",
    ]),
  );
});

/** Reports whether no value fits both: by JSON type, or by a literal that both require under the same key. */
function areToldApart(left: JsonSchema, right: JsonSchema): boolean {
  const [a, b] = [resolved(left), resolved(right)];
  const types = [a.type ?? []].flat();
  const shared = types.filter((type) => [b.type ?? []].flat().includes(type));
  const literals = (a.required ?? []).filter((key) => b.required?.includes(key) && getLiteral(a, key) !== undefined);
  const differ = literals.some((key) => getLiteral(b, key) !== undefined && getLiteral(a, key) !== getLiteral(b, key));
  return types.length > 0 && b.type !== undefined && (shared.length === 0 || (shared.join() === "object" && differ));
}

function getLiteral({ properties = {} }: JsonSchema, key: string): unknown {
  return properties[key]?.const;
}

function resolved(schema: JsonSchema): JsonSchema {
  const { $ref } = schema;
  return $ref === undefined ? schema : (document.components.schemas[$ref.slice($ref.lastIndexOf("/") + 1)] ?? {});
}

test("the parts of every anyOf differ in JSON type, or in a required literal", () => {
  const unions = schemas.flatMap(({ at, schema: { anyOf } }) => (anyOf ? [{ at, anyOf }] : []));
  const alike = unions.filter(({ anyOf }) =>
    anyOf.some((schema, index) => anyOf.slice(index + 1).some((otherSchema) => !areToldApart(schema, otherSchema))),
  );

  expect(unions.length).toBeGreaterThan(5);
  expect(
    areToldApart({ $ref: "#/components/schemas/ChatProcessed" }, { $ref: "#/components/schemas/ChatQueued" }),
  ).toBe(true);
  expect(areToldApart({ $ref: "#/components/schemas/JobSummary" }, { $ref: "#/components/schemas/Job" })).toBe(false);
  expect(alike.map(({ at }) => at)).toEqual([]);
});

test("every operation, parameter and property has a description", () => {
  const silent = schemas.flatMap(({ at, schema: { properties = {} } }) =>
    Object.entries(properties).flatMap(([name, property]) => (property.description ? [] : [`${at}.${name}`])),
  );
  const parameters = operations.flatMap(({ route, parameters: all = [] }) =>
    all.flatMap(({ name, description }) => (description ? [] : [`${route} ${name}`])),
  );

  expect([...silent, ...parameters]).toEqual([]);
  expect(operations.filter(({ description }) => !description)).toEqual([]);
});

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const nameOfTime = /(_at|[a-z]At|timestamp|_activity|Activity|_time|Time|_since|Since|last_used|last_updated|_latest)$/;

function isDateTime(schema: JsonSchema): boolean {
  return schema.format === "date-time" || (schema.anyOf ?? []).some((part) => isDateTime(resolved(part)));
}

function timesIn(at: string, schema: JsonSchema, value: unknown): SchemaLocation[] {
  const whole = resolved(schema);
  if (typeof value === "string") return time.test(value) ? [{ at, schema: whole }] : [];
  if (typeof value !== "object" || value === null) return [];
  const parts = (whole.anyOf ?? []).filter((part) => findFault(part, value) === undefined);
  const { properties = {}, additionalProperties, items } = whole;
  const others = items ?? (typeof additionalProperties === "object" ? additionalProperties : undefined);
  const inner = Object.entries(value).flatMap(([name, entry]) => {
    const its = properties[name] ?? others;
    return its ? timesIn(`${at}.${name}`, its, entry) : [];
  });
  return [...inner, ...parts.flatMap((part) => timesIn(at, part, value))];
}

test("every time, by its examples or its name, is a date-time", () => {
  const shown = examples.flatMap(({ at, schema, value }) => timesIn(at, schema, value));
  const named = schemas.flatMap(({ at, schema: { properties = {} } }) =>
    Object.entries(properties).flatMap(([name, schema]) =>
      nameOfTime.test(name) ? [{ at: `${at}.${name}`, schema }] : [],
    ),
  );

  expect([shown.length > 100, named.length > 50]).toEqual([true, true]);
  expect([...shown, ...named].flatMap(({ at, schema }) => (isDateTime(schema) ? [] : [at]))).toEqual([]);
});

test("the pages of the server are not operations", () => {
  const pages = catalog.endpoints
    .map(({ declaration }) => declaration.path)
    .filter((path) => /^\/(cli|docs|openapi)/.test(path));

  expect(pages.toSorted()).toEqual(["/cli/{file}", "/docs", "/docs/{asset}", "/openapi.json"]);
  expect(pages.filter((path) => path in document.paths)).toEqual([]);
});

test("tags are in a newcomer's reading order, each with a description", () => {
  const names = document.tags.map(({ name }) => name);
  const used = operations.map(({ tags }) => tags[0] ?? "");

  expect([names.slice(0, 2), names.slice(-2)]).toEqual([
    ["Login", "Jobs"],
    ["Admin", "Health"],
  ]);
  expect([...new Set(used)]).toEqual(names);
  expect(document.tags.every(({ description }) => description.length > 0)).toBe(true);
  expect(operations.slice(0, 2).map(({ route }) => route)).toEqual(["POST /v1/auth/aws-login", "POST /v1/jobs/submit"]);
});

test("every operation has a unique id, in one style", () => {
  const ids = operations.map(({ operationId }) => operationId);

  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^[a-z]+([A-Z][a-z]+)+$|^login$/.test(id))).toEqual([]);
});

test("every example fits its schema, and every body has one", () => {
  const faults = examples.flatMap(({ at, schema, value }) => {
    const fault = findFault(schema, value);
    return fault === undefined ? [] : [`${at}: ${fault}`];
  });
  const ofSchemas = schemas.flatMap(({ at, schema }) =>
    (schema.examples ?? []).flatMap((value) =>
      findFault({ ...schema, examples: [] }, value) === undefined ? [] : [at],
    ),
  );
  const bare = operations.filter(({ requestBody }) => {
    const json = requestBody?.content["application/json"];
    return (
      json && json.examples === undefined && requestBody.content["application/x-www-form-urlencoded"] === undefined
    );
  });

  expect(examples.length).toBeGreaterThan(120);
  expect(findFault({ $ref: "#/components/schemas/Job" }, { job_id: 1 })).toContain("job_id must be string");
  expect([...faults, ...ofSchemas]).toEqual([]);
  expect(bare.map(({ route }) => route)).toEqual([]);
});

test("an estimate documents each error status of a submit", () => {
  const listStatuses = (path: string) => {
    return Object.keys(operations.find(({ route }) => route === `POST ${path}`)?.responses ?? {});
  };

  const submit = listStatuses("/v1/jobs/submit");

  expect(submit).toEqual(expect.arrayContaining(["400", "409", "410"]));
  expect(listStatuses("/v1/jobs/estimate")).toEqual(expect.arrayContaining(submit));
});

test("every successful JSON response has an example", () => {
  const successes = operations.flatMap(({ route, responses }) =>
    Object.entries(responses).flatMap(([status, { content }]) => {
      const json = content["application/json"];
      return json && status.startsWith("2")
        ? [{ at: `${route} ${status}`, shown: Object.keys(json.examples ?? {}) }]
        : [];
    }),
  );

  expect(successes.length).toBeGreaterThan(80);
  expect(successes.flatMap(({ at, shown }) => (shown.length > 0 ? [] : [at]))).toEqual([]);
});

test("every reference resolves, and every named schema is used", () => {
  const text = JSON.stringify(document);
  const references = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name = ""]) => name));

  expect([...references].sort()).toEqual(Object.keys(document.components.schemas).sort());
});

test.each(["/v1/jobs/submit", "/v1/jobs/estimate"])("the first example of %s is one GPU for one hour", (path) => {
  const [first] = examples.filter(({ at }) => at.startsWith(`POST ${path} `));

  expect(first).toMatchObject({ at: `POST ${path} one-gpu-for-one-hour`, value: { gpu_count: 1, duration_hours: 1 } });
});
