import { describe, expect, test } from "vitest";
import { type GoodRequest, goodRequest, pathOf } from "#testing/catalog-requests.ts";
import { httpWorld, second } from "#testing/http-world.ts";

const world = await httpWorld();
const key = await world.login();
const ids = { "X-Request-ID": "a.B_c-1", "X-Correlation-ID": "corr-1" };
const table = world.endpoints.map((endpoint) => ({
  name: `${endpoint.method.toUpperCase()} ${endpoint.path}`,
  endpoint,
}));
const withBody = table.filter(({ endpoint }) => endpoint.method !== "get");
const huge = `{"image":"${"x".repeat(1_048_576)}"}`;

async function send({ method, path, sent }: GoodRequest, changed: GoodRequest["sent"] = {}): Promise<Response> {
  const headers = { ...ids, ...sent.headers, ...changed.headers };
  return world.request(method, path, { ...sent, ...changed, headers });
}

/** Headers of contracts/common section 4, and a body of one line without a space between its parts. */
async function expectWellFormed(response: Response): Promise<void> {
  const text = await response.text();
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "x-request-id": "a.B_c-1",
    "x-correlation-id": "corr-1",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
  });
  if (response.headers.get("content-type") === "application/json") {
    expect(text).toBe(JSON.stringify(JSON.parse(text)));
  }
}

describe.each(table)("$name", ({ endpoint }) => {
  test("answers 200 with every header, in compact JSON", async () => {
    const response = await send(await goodRequest(world, endpoint, key));

    expect(response.status).toBe(200);
    await expectWellFormed(response);
  });

  test("makes a request id where none came, and no correlation id", async () => {
    const { method, path, sent } = await goodRequest(world, endpoint, key);

    const { headers } = await world.request(method, path, sent);

    expect(headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(headers.has("x-correlation-id")).toBe(false);
  });

  test("answers a method that it does not have with 405 and those that it has", async () => {
    const { path } = await goodRequest(world, endpoint, key);
    const paths = world.endpoints.filter((one) => one.path === endpoint.path);
    const own = paths.map((one) => one.method.toUpperCase());

    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].filter((one) => !own.includes(one))) {
      if (path === "/v1/jobs/submit" && method === "GET") continue;
      const response = await send({ method, path, sent: {} });

      expect(response.status).toBe(405);
      expect(response.headers.get("allow")?.split(", ")).toEqual(expect.arrayContaining(own));
      expect(await response.clone().text()).toBe('{"detail":"Method Not Allowed"}');
      await expectWellFormed(response);
    }
  });

  test("is not there with a slash at its end", async () => {
    const { method, path, sent } = await goodRequest(world, endpoint, key);

    const response = await send({ method, path: `${path}${path === "/" ? "x" : "/"}`, sent });

    expect([response.status, await response.clone().text()]).toEqual([404, '{"detail":"Not Found"}']);
    await expectWellFormed(response);
  });
});

describe.each(table.filter(({ endpoint }) => endpoint.method === "get"))("HEAD $name", ({ endpoint }) => {
  test("has the status and headers of GET, and no body", async () => {
    const { path, sent } = await goodRequest(world, endpoint, key);

    const response = await send({ method: "HEAD", path, sent });
    const whole = await send({ method: "GET", path, sent });

    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(Object.fromEntries(response.headers)).toEqual(Object.fromEntries(whole.headers));
  });
});

describe.each(withBody)("$name", ({ endpoint }) => {
  test.each([
    ["announced", { "Content-Length": String(huge.length) }],
    ["not announced", {}],
  ])("refuses a body over 1 MiB that is %s", async (_, headers) => {
    const response = await send(await goodRequest(world, endpoint, key), { body: huge, headers });

    expect([response.status, await response.clone().text()]).toEqual([413, '{"detail":"Request body too large"}']);
    await expectWellFormed(response);
  });

  test.each(["{", '{"a":1,}', "[]", '"text"', "1", "null", "true", "{'a':1}", '{"a":1} x', "// a\n{}", "\0"])(
    "refuses the body %j, which is no JSON object",
    async (body) => {
      const response = await send(await goodRequest(world, endpoint, key), { body });
      const problem = { type: "json_invalid", loc: ["body"], msg: "JSON decode error", input: {} };

      expect(response.status).toBe(400);
      expect(await response.clone().json()).toEqual({ detail: [problem] });
      await expectWellFormed(response);
    },
  );

  test.each(["", " \n", undefined])("takes the empty body %j for {}", async (body) => {
    const request = await goodRequest(world, endpoint, key);
    const headers = { "Content-Type": "application/json" };

    const empty = await send({ ...request, sent: { ...request.sent, body } }, { headers });
    const braces = await send({ ...request, sent: { ...request.sent, body: "{}" } }, { headers });

    expect(empty.status).toBe(braces.status);
    expect(await empty.text()).toBe(await braces.text());
  });

  test("reads JSON whatever its content type says", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", ";;;", "application/xml"]) {
      const request = await goodRequest(world, endpoint, key);
      const { status } = await send(request, { headers: { "Content-Type": type } });

      expect(status).toBe(200);
    }
  });
});

describe.each(table.filter(({ endpoint }) => endpoint.path.includes("{job_id}")))("$name", ({ endpoint }) => {
  test("answers another owner's job as one that is not there, byte for byte", async () => {
    const stranger = await world.login(second);
    const { method, path: owned, sent } = await goodRequest(world, endpoint, key);
    const id = owned.split("/")[3] ?? "";
    const missing = `${id.slice(0, -4)}${id.endsWith("0000") ? "1111" : "0000"}`;
    const path = await pathOf(endpoint, async () => missing);

    const other = await send({ method, path: owned, sent: { ...sent, key: stranger } });
    const nothing = await send({ method, path, sent: { ...sent, key: stranger } });

    expect([other.status, nothing.status]).toEqual([404, 404]);
    expect(await nothing.text()).toBe(`{"detail":"Job ${missing} not found"}`);
    expect(await other.text()).toBe(`{"detail":"Job ${id} not found"}`);
    expect(Object.fromEntries(other.headers)).toEqual(Object.fromEntries(nothing.headers));
  });
});
