import { describe, expect, test } from "vitest";
import type { Situation } from "#http/dialect.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { methodsOf } from "#http/routes.ts";
import { catalogWorld, type GoodRequest, goodRequest, pathOf, thingsOf } from "#testing/catalog-requests.ts";
import { second } from "#testing/http-world.ts";
import { problemText, situationText } from "#testing/problem-text.ts";

const world = await catalogWorld();
const key = await world.login();
const ids = { "X-Request-ID": "a.B_c-1", "X-Correlation-ID": "corr-1" };
const table = world.endpoints.map((endpoint) => ({
  name: `${endpoint.method.toUpperCase()} ${endpoint.path}`,
  endpoint,
}));
/** A body means nothing to a DELETE that asks for none. */
const isBodyless = ({ method, body }: Endpoint) => method === "get" || (method === "delete" && body === undefined);
const withBody = table.filter(({ endpoint }) => !isBodyless(endpoint));
const bodylessDeletes = table.filter(({ endpoint }) => endpoint.method === "delete" && isBodyless(endpoint));

/** Routes that answer the same request otherwise when it is made again, and why. */
const answersAnew: Readonly<Record<string, string>> = {
  "/v1/keys/rotate": "each time the key is another one",
  "/v1/disks/{disk_name}/undelete": "what was undeleted is not marked for deletion any more",
  "/v1/jobs/{job_id}/jupyter/enable": "each request has a number of its own, also where all is so already",
  "/v1/jobs/{job_id}/jupyter/disable": "each request has a number of its own, also where all is so already",
};
const repeatable = withBody.filter(({ endpoint }) => !(endpoint.path in answersAnew));
const changing = withBody
  .filter(({ endpoint }) => endpoint.path in answersAnew)
  .map((row) => ({ ...row, reason: answersAnew[row.endpoint.path] }));
const emptyBodies = ["", " \n", undefined];
const huge = `{"image":"${"x".repeat(1_048_576)}"}`;

async function send({ method, path, sent }: GoodRequest, changed: GoodRequest["sent"] = {}): Promise<Response> {
  const headers = { ...ids, ...sent.headers, ...changed.headers };
  return world.request(method, path, { ...sent, ...changed, headers });
}

/** Headers of docs/apis/common.md#headers-and-bodies, and a body of one line without a space between its parts. */
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

/** The machinery's own words for a situation, in the envelope of the path's dialect. */
async function expectRefusal(
  response: Response,
  { method, path }: Pick<GoodRequest, "method" | "path">,
  why: Situation,
) {
  const text = await response.clone().text();
  expect([response.status, problemText(path, text)]).toEqual([statusOf[why], situationText(method, path, why)]);
  await expectWellFormed(response);
}

const statusOf: Readonly<Partial<Record<Situation, number>>> = {
  unknownPath: 404,
  wrongMethod: 405,
  tooLarge: 413,
  badJson: 400,
};

describe.each(table)("$name", ({ endpoint }) => {
  test("answers with its status and every header, in compact JSON", async () => {
    const response = await send(await goodRequest(world, endpoint, key));

    expect(response.status).toBe(endpoint.status);
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
    // A static path may also be taken for the id of something.
    const own = methodsOf(world.endpoints, path);

    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"].filter((one) => !own.includes(one))) {
      const response = await send({ method, path, sent: {} });

      expect(response.headers.get("allow")?.split(", ")).toEqual(own);
      await expectRefusal(response, { method, path }, "wrongMethod");
    }
  });

  test("is not there with a slash at its end", async () => {
    const { method, path, sent } = await goodRequest(world, endpoint, key);

    const at = `${path}${path === "/" ? "x" : "/"}`;

    await expectRefusal(await send({ method, path: at, sent }), { method, path: at }, "unknownPath");
  });
});

describe.each(table.filter(({ endpoint }) => endpoint.method === "get"))("HEAD $name", ({ endpoint }) => {
  test("has the status and headers of GET, and no body", async () => {
    const { path, sent } = await goodRequest(world, endpoint, key);

    const response = await send({ method: "HEAD", path, sent });
    const whole = await send({ method: "GET", path, sent });

    expect([response.status, await response.text()]).toEqual([endpoint.status, ""]);
    expect(Object.fromEntries(response.headers)).toEqual(Object.fromEntries(whole.headers));
  });
});

describe.each(withBody)("$name", ({ endpoint }) => {
  test.each([
    ["announced", { "Content-Length": String(huge.length) }],
    ["not announced", {}],
  ])("refuses a body over 1 MiB that is %s", async (_, headers) => {
    const request = await goodRequest(world, endpoint, key);

    await expectRefusal(await send(request, { body: huge, headers }), request, "tooLarge");
  });

  const comments = endpoint.dialect.commentsInJson ? [] : ["// a\n{}"];

  test.each(["{", '{"a":1,}', "[]", '"text"', "1", "null", "true", "{'a':1}", '{"a":1} x', "\0", ...comments])(
    "refuses the body %j, which is no JSON object",
    async (body) => {
      const request = await goodRequest(world, endpoint, key);

      await expectRefusal(await send(request, { body }), request, "badJson");
    },
  );

  test("reads JSON whatever its content type says", async () => {
    for (const type of ["text/plain", "application/x-www-form-urlencoded", ";;;", "application/xml"]) {
      const request = await goodRequest(world, endpoint, key);
      const { status } = await send(request, { headers: { "Content-Type": type } });

      expect(status).toBe(endpoint.status);
    }
  });
});

describe.each(repeatable)("$name", ({ endpoint }) => {
  test.each(emptyBodies)("takes the empty body %j for {}", async (body) => {
    const request = await goodRequest(world, endpoint, key);
    const headers = { "Content-Type": "application/json" };

    const empty = await send({ ...request, sent: { ...request.sent, body } }, { headers });
    const braces = await send({ ...request, sent: { ...request.sent, body: "{}" } }, { headers });

    expect(empty.status).toBe(braces.status);
    expect(await empty.text()).toBe(await braces.text());
  });
});

test("what is said to answer anew does", () => {
  expect(changing.map(({ endpoint }) => endpoint.path).toSorted()).toEqual(Object.keys(answersAnew).toSorted());
});

describe.each(changing)("$name ($reason)", ({ endpoint }) => {
  test.each(emptyBodies)("takes the empty body %j for {}, on two things and so in form alone", async (body) => {
    const headers = { "Content-Type": "application/json" };
    const [one, other] = [await goodRequest(world, endpoint, key), await goodRequest(world, endpoint, key)];

    const empty = await send({ ...one, sent: { ...one.sent, body } }, { headers });
    const braces = await send({ ...other, sent: { ...other.sent, body: "{}" } }, { headers });

    expect([empty.status, braces.status]).toEqual([endpoint.status, endpoint.status]);
    expect(Object.keys((await empty.json()) as object)).toEqual(Object.keys((await braces.json()) as object));
  });
});

describe.each(bodylessDeletes)("$name", ({ endpoint }) => {
  test.each(["", "{}", "{", "[]", "\0", huge])("leaves a body alone: %#", async (body) => {
    const response = await send(await goodRequest(world, endpoint, key), { body });

    expect(response.status).toBe(endpoint.status);
    await expectWellFormed(response);
  });

  test("refuses a body over 1 MiB that is announced", async () => {
    const headers = { "Content-Length": String(huge.length) };
    const request = await goodRequest(world, endpoint, key);

    await expectRefusal(await send(request, { body: huge, headers }), request, "tooLarge");
  });
});

/** Things that belong to somebody: the segment that names one, another of its form that nobody has, and the 404. */
const owned = [
  { parameter: "job_id", missing: "019bdcc3-5b00-7000-8000-0123456789ab", text: (id: string) => `Job ${id} not found` },
  { parameter: "disk_name", missing: "nobodys-disk", text: (name: string) => `Disk '${name}' not found` },
  { parameter: "prefix", missing: "nobodys0", text: (prefix: string) => `API key '${prefix}' not found` },
  {
    parameter: "delivery_id",
    missing: `evt_1768933800000_${"0".repeat(32)}_1`,
    text: (id: string) => `Delivery ${id} not found`,
  },
  { parameter: "uuid", missing: "0000beef", text: (uuid: string) => `Session ${uuid} not found` },
  {
    parameter: "name",
    missing: "workspace-0000beef-20260120-180000.zip",
    text: (name: string) => `Backup ${name} not found`,
  },
  { parameter: "session_id", missing: "ws-n-u-1", text: () => "Session not found" },
  { parameter: "workspace_id", missing: "ws-n-u-1", text: () => "Workspace not found" },
  { parameter: "instanceId", missing: "inst_000000000000", text: (id: string) => `Instance ${id} not found` },
  { parameter: "id", missing: "nobodys-workspace", text: (id: string) => `workspace not found: ${id}` },
];
const operations = "/v1/disks/{disk_name}/operations/{operation_id}";
const ownedRows = owned.flatMap((thing) =>
  table
    .filter(({ endpoint }) => !endpoint.admin && endpoint.path !== operations)
    // The address of a WebSocket refuses whoever asks for none, whatever it names.
    .filter(({ endpoint }) => !endpoint.keyInQuery)
    .filter(({ endpoint }) => endpoint.path.includes(`{${thing.parameter}}`))
    .map((row) => ({ ...row, ...thing })),
);

test("each parameter of a path that names what somebody owns is in a row below", () => {
  const parametersOf = ({ path }: Endpoint) => [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
  const all = table.filter(({ endpoint }) => !endpoint.admin).flatMap(({ endpoint }) => parametersOf(endpoint));
  const known = ["asset", "operation_id", ...owned.map(({ parameter }) => parameter)];

  expect(known).toEqual(expect.arrayContaining([...new Set(all)]));
});

describe.each(ownedRows)("$name", ({ endpoint, parameter, missing, text }) => {
  test("answers what is another owner's as what is not there, byte for byte", async () => {
    const stranger = await strangerTo(endpoint);
    const { method, sent } = await goodRequest(world, endpoint, key);
    const things = await thingsOf(world, endpoint, key);

    const own = pathOf(endpoint, things);
    const other = await send({ method, path: own, sent: { ...sent, key: stranger } });
    const path = pathOf(endpoint, { ...things, [parameter]: missing });
    const nothing = await send({ method, path, sent: { ...sent, key: stranger } });

    expect([other.status, nothing.status]).toEqual([404, 404]);
    const [said, saidOfNothing] = [await other.text(), await nothing.text()];
    expect(problemText(path, saidOfNothing)).toBe(text(missing));
    expect(said).toBe(saidOfNothing.replaceAll(missing, things[parameter] ?? ""));
    expect(Object.fromEntries(other.headers)).toEqual(Object.fromEntries(nothing.headers));
  });
});

/** A key of somebody to whom this endpoint's things do not belong: keys are revoked with one of `second`'s own. */
async function strangerTo({ path }: Endpoint): Promise<string> {
  return path.startsWith("/v1/keys") ? key : world.login(second);
}

test("another owner's disk operation is as one that is not there, and so is one asked for by another disk's name", async () => {
  const endpoint = world.endpoints.find(({ path }) => path === operations);
  if (!endpoint) throw new Error(`The catalog has no ${operations}`);
  const [one, another] = [await thingsOf(world, endpoint, key), await thingsOf(world, endpoint, key)];
  const asked = [
    { things: one, by: await world.login(second) },
    { things: { ...one, operation_id: "op-00000000-0000-4000-8000-000000000000" }, by: key },
    { things: { ...one, disk_name: another.disk_name ?? "" }, by: key },
    { things: { ...one, operation_id: "x" }, by: key },
  ];

  for (const { things, by } of asked) {
    const response = await send({ method: "GET", path: pathOf(endpoint, things), sent: { key: by } });

    const detail = `Operation '${things.operation_id}' not found for disk '${things.disk_name}'`;
    expect([response.status, await response.text()]).toEqual([404, JSON.stringify({ detail })]);
  }
});

describe.each(table.filter(({ endpoint }) => endpoint.admin))("$name", ({ endpoint }) => {
  test("is to whoever is no operator an unknown path, byte for byte, whatever he sends", async () => {
    const { method, path, sent } = await goodRequest(world, endpoint, key);
    const unknown = await send({ method, path: "/v1/admin/no-such-thing", sent: { key } });
    const told = [unknown.status, await unknown.text(), Object.fromEntries(unknown.headers)];

    for (const body of method === "GET" ? [undefined] : [sent.body, "{", "[]", huge]) {
      const response = await send({ method, path, sent: { ...sent, key, body } });

      expect([response.status, await response.text(), Object.fromEntries(response.headers)]).toEqual(told);
    }
    expect(told.slice(0, 2)).toEqual([404, '{"detail":"Not Found"}']);
  });
});
