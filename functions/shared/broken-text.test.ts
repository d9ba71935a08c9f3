import { describe, expect, test } from "vitest";
import { bodySchema, type Endpoint } from "#http/endpoint.ts";
import { brokenTextIn } from "#http/request/read-input.ts";
import { fieldNames } from "#http/schema.ts";
import { catalogWorld, createThings, fillPath, goodRequest } from "#tests/fixtures/catalog-requests.ts";

const world = await catalogWorld();
const key = await world.login();
const table = world.endpoints.map((endpoint) => ({
  name: `${endpoint.method.toUpperCase()} ${endpoint.path}`,
  endpoint,
}));

/** Texts that neither stores nor processes accept (docs/apis/common.md#headers-and-bodies). */
const broken = ["a\0b", "half \ud83d", "\udead"];
/** Forms are what commands are sent with: these are run and not stored. */
const withFields = table.filter(({ endpoint }) => !endpoint.form && listFields(endpoint).length > 0);
const withPath = table.filter(({ endpoint }) => endpoint.path.includes("{"));

function listFields(endpoint: Endpoint): string[] {
  const schema = bodySchema(endpoint, world.ctx.settings);
  return schema ? fieldNames(schema) : [];
}

/** Objects with free field names: unknown fields are ignored, whatever they contain. */
const ignoring = ["healthCheckConfig", "snapshot"];

/** A text at every depth at which a field may have one. */
function listPlaces(field: string, text: string): unknown[] {
  const inMap = [{ A: text }, { [text]: "x" }];
  return [text, [text], ...(ignoring.includes(field) ? [] : inMap)];
}

test("the endpoints that take fields are in the table, and a good request of each succeeds", async () => {
  expect(withFields.map(({ name }) => name)).toEqual(
    expect.arrayContaining(["POST /session/create", "POST /v1/jobs/submit", "DELETE /api/v1/environments"]),
  );
  for (const { endpoint } of withFields) {
    const { method, path, sent } = await goodRequest(world, endpoint, key);

    expect((await world.request(method, path, sent)).status).toBe(endpoint.status);
  }
});

describe.each(withFields)("$name", ({ endpoint }) => {
  test.each(listFields(endpoint))("refuses malformed text in %s", async (field) => {
    const { method, path, sent } = await goodRequest(world, endpoint, key);

    for (const value of broken.flatMap((text) => listPlaces(field, text))) {
      const body = { ...(sent.body as object), [field]: value };
      const response = await world.request(method, path, { ...sent, body });

      expect([value, response.status]).toEqual([value, 400]);
      expect(await response.text()).not.toContain("\0");
    }
  });
});

describe.each(withPath)("$name", ({ endpoint }) => {
  test("finds nothing by a name with a NUL in it", async () => {
    const { method, sent } = await goodRequest(world, endpoint, key);
    const things = await createThings(world, endpoint, key);

    for (const [, name = ""] of endpoint.path.matchAll(/\{(\w+)\}/g)) {
      const path = fillPath(endpoint, { ...things, [name]: `${things[name]}%00` });

      expect([path, (await world.request(method, path, sent)).status]).toEqual([path, 404]);
    }
  });
});

test("no record stored by these tests contains malformed text", () => {
  expect(world.table.all().length).toBeGreaterThan(withFields.length);
  expect(world.table.all().filter((item) => brokenTextIn(item))).toEqual([]);
});
