import { describe, expect, test } from "vitest";
import type { Endpoint } from "#http/endpoint.ts";
import { catalogWorld, goodRequest } from "#tests/fixtures/catalog-requests.ts";
import { problemText, situationText } from "#tests/fixtures/problem-text.ts";

const world = await catalogWorld();
const good = await world.login();
const named = (endpoints: readonly Endpoint[]) =>
  endpoints.map((endpoint) => ({ name: `${endpoint.method.toUpperCase()} ${endpoint.path}`, endpoint }));
const closed = named(world.endpoints.filter((endpoint) => !endpoint.public));
const open = named(world.endpoints.filter((endpoint) => endpoint.public));

/** Returns what the key check depends on. Each kind of key is tried on one endpoint of each class. */
function getClass({ dialect, admin, keyInQuery }: Endpoint): string {
  return [dialect.name, admin && "for operators", keyInQuery && "with a key in the query"].filter(Boolean).join(" ");
}

const tried: Readonly<Record<string, string>> = {
  "gpu-dev": "POST /v1/jobs/submit",
  "gpu-dev for operators": "POST /v1/admin/pools/{gpu_type}/drain",
  "session-manager": "POST /session/create",
  onmemos: "POST /v1/sessions",
  "onmemos with a key in the query": "GET /v1/cloudrun/workspaces/{workspace_id}/shell",
  novita: "POST /api/instances",
  dev8: "POST /api/v1/environments",
};
const ofEachClass = closed.filter(({ name, endpoint }) => tried[getClass(endpoint)] === name);

/** A real key whose record was changed before its first use. */
async function keyWith(change: Readonly<Record<string, unknown>>): Promise<string> {
  const key = await world.login();
  const record = await world.table.get({ pk: `key#${world.ctx.ids.hash(key)}`, sk: "-" });
  if (!record) throw new Error("The login wrote no key");
  await world.table.put({ ...record, ...change });
  return key;
}

const now = world.clock.now();
interface Row {
  readonly who: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly prefix?: string;
  readonly status: number;
  /** The dialect's own for a request without a key, where this is not given. */
  readonly text?: string;
}
const refusals: readonly Row[] = [
  { who: "nobody", headers: {}, status: 401 },
  { who: "a scheme that is none", headers: { Authorization: "Basic YTpi" }, status: 401 },
  { who: "an empty key", headers: { "X-API-Key": "" }, status: 401 },
  { who: "an empty key in the base URL", headers: {}, prefix: "/k/", status: 401 },
  { who: "garbage in the base URL", headers: {}, prefix: "/k/%3Cscript%3E", status: 401, text: "Invalid API key" },
  {
    who: "a bad key before a good one in the base URL",
    headers: bearer("k".repeat(86)),
    prefix: `/k/${good}`,
    status: 401,
    text: "Invalid API key",
  },
  { who: "garbage", headers: { Authorization: "Bearer <script>" }, status: 401, text: "Invalid API key" },
  { who: "an unknown key", headers: bearer("k".repeat(86)), status: 401, text: "Invalid API key" },
  {
    who: "an unknown key before a good one",
    headers: { ...bearer("k".repeat(86)), "X-API-Key": good },
    status: 401,
    text: "Invalid API key",
  },
  {
    who: "an expired key",
    headers: bearer(await keyWith({ expiresAt: now })),
    status: 401,
    text: "API key has expired",
  },
  {
    who: "a revoked key",
    headers: bearer(await keyWith({ revokedAt: now })),
    status: 401,
    text: "API key has been revoked",
  },
  {
    who: "a disabled user",
    headers: bearer(await keyWith({ disabled: true })),
    status: 403,
    text: "User account is disabled",
  },
];

function bearer(key: string): { readonly Authorization: string } {
  return { Authorization: `Bearer ${key}` };
}

test("the catalog has endpoints of both kinds", () => {
  expect(closed.map(({ name }) => name)).toContain("POST /v1/jobs/submit");
  expect(open.map(({ name }) => name)).toContain("POST /v1/auth/aws-login");
});

test("every endpoint belongs to a class, and every class has an endpoint to test", () => {
  const outside = closed.filter(({ endpoint }) => !(getClass(endpoint) in tried));

  expect(outside.map(({ name }) => name)).toEqual([]);
  expect(ofEachClass.map(({ endpoint }) => getClass(endpoint)).toSorted()).toEqual(Object.keys(tried).toSorted());
});

describe.each(ofEachClass)("$name", ({ endpoint }) => {
  test.each(refusals)("refuses $who with $status, before any other check", async (row) => {
    const { method, path } = await goodRequest(world, endpoint, good);
    const body = method === "GET" ? {} : { body: "{".repeat(1_100_000) };

    const response = await world.request(method, (row.prefix ?? "") + path, { headers: row.headers, ...body });

    expect(response.status).toBe(row.status);
    const text = await response.text();
    expect(problemText(path, text)).toBe(row.text ?? situationText(method, path, "noKey"));
    expect(text).not.toContain(good);
    expect(response.headers.get("www-authenticate")).toBe(row.status === 401 ? "Bearer" : null);
  });

  test("accepts the key in either header and in the base URL", async () => {
    for (const place of ["header", "path"]) {
      const { method, path, sent } = await goodRequest(world, endpoint, good);
      const { key = "", body } = sent;
      const [headers, prefix] = place === "header" ? [{ "X-API-Key": key }, ""] : [{}, `/k/${key}`];

      const response = await world.request(method, prefix + path, { headers, body });

      expect(response.status).toBe(endpoint.status);
      if (path !== "/v1/keys/rotate") expect(await response.text()).not.toContain(key);
    }
  });
});

describe.each(closed)("$name", ({ endpoint }) => {
  test(`refuses an anonymous request, and reads ${endpoint.keyInQuery ? "the" : "no"} key from the query`, async () => {
    const { method, path } = await goodRequest(world, endpoint, good);

    const nobody = await world.request(method, path);
    const inQuery = await world.request(method, `${path}?api_key=${good}`);

    expect(nobody.status).toBe(401);
    expect(problemText(path, await nobody.text())).toBe(situationText(method, path, "noKey"));
    expect(inQuery.status).toBe(endpoint.keyInQuery ? endpoint.status : 401);
  });
});

describe.each(open)("$name", ({ endpoint }) => {
  test("never checks a key", async () => {
    for (const { headers, prefix = "" } of refusals) {
      const { method, path, sent } = await goodRequest(world, endpoint, good);
      const { status } = await world.request(method, prefix + path, {
        ...sent,
        headers: { ...sent.headers, ...headers },
      });

      expect(status).toBe(200);
    }
  });
});
