import { describe, expect, test } from "vitest";
import type { Endpoint } from "#http/endpoint.ts";
import { type GoodRequest, goodRequest, pathOf, thingsOf } from "./catalog-requests.ts";
import { type HttpWorld, second } from "./http-world.ts";
import { problemText } from "./problem-text.ts";

/**
 * What every endpoint of every dialect answers once a request has come as far as the stores, which are this world's
 * (`catalogWorld`). What is refused or read before that is in functions/shared/catalog-answers.test.ts.
 */
export async function catalogCases(world: HttpWorld): Promise<void> {
  const key = await world.login();
  successes(world, key);
  heads(world, key);
  owners(world, key);
  operators(world, key);
}

/** The endpoints of the catalog, for `describe.each`. */
export function catalogRows(world: HttpWorld) {
  return world.endpoints.map((endpoint) => ({ name: `${endpoint.method.toUpperCase()} ${endpoint.path}`, endpoint }));
}

/** A body over 1 MiB. */
export const huge = `{"image":"${"x".repeat(1_048_576)}"}`;

const ids = { "X-Request-ID": "a.B_c-1", "X-Correlation-ID": "corr-1" };

/** Sends a request with both ids, changed where that is said. */
export function sendTo(world: HttpWorld) {
  return async ({ method, path, sent }: GoodRequest, changed: GoodRequest["sent"] = {}): Promise<Response> => {
    const headers = { ...ids, ...sent.headers, ...changed.headers };
    return world.request(method, path, { ...sent, ...changed, headers });
  };
}

/** Headers of docs/apis/common.md#headers-and-bodies, and a body of one line without a space between its parts. */
export async function expectWellFormed(response: Response): Promise<void> {
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

function successes(world: HttpWorld, key: string): void {
  const send = sendTo(world);

  describe.each(catalogRows(world))("$name", ({ endpoint }) => {
    test("answers with its status and every header, in compact JSON", async () => {
      const response = await send(await goodRequest(world, endpoint, key));

      expect(response.status).toBe(endpoint.status);
      await expectWellFormed(response);
    });
  });
}

function heads(world: HttpWorld, key: string): void {
  const send = sendTo(world);

  describe.each(catalogRows(world).filter(({ endpoint }) => endpoint.method === "get"))(
    "HEAD $name",
    ({ endpoint }) => {
      test("has the status and headers of GET, and no body", async () => {
        const { path, sent } = await goodRequest(world, endpoint, key);

        const response = await send({ method: "HEAD", path, sent });
        const whole = await send({ method: "GET", path, sent });

        expect([response.status, await response.text()]).toEqual([endpoint.status, ""]);
        expect(Object.fromEntries(response.headers)).toEqual(Object.fromEntries(whole.headers));
      });
    },
  );
}

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

function owners(world: HttpWorld, key: string): void {
  const table = catalogRows(world);
  const send = sendTo(world);
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
    // Messages are numbered within their session, whose row covers them.
    const known = ["asset", "file", "operation_id", "message_id", ...owned.map(({ parameter }) => parameter)];

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
}

function operators(world: HttpWorld, key: string): void {
  const send = sendTo(world);

  describe.each(catalogRows(world).filter(({ endpoint }) => endpoint.admin))("$name", ({ endpoint }) => {
    test("is an unknown path to everybody but operators, byte for byte, whatever is sent", async () => {
      const { method, path, sent } = await goodRequest(world, endpoint, key);
      const unknown = await send({ method, path: "/v1/admin/no-such-thing", sent: { key } });
      const answer = [unknown.status, await unknown.text(), Object.fromEntries(unknown.headers)];

      for (const body of method === "GET" ? [undefined] : [sent.body, "{", "[]", huge]) {
        const response = await send({ method, path, sent: { ...sent, key, body } });

        expect([response.status, await response.text(), Object.fromEntries(response.headers)]).toEqual(answer);
      }
      expect(answer.slice(0, 2)).toEqual([404, '{"detail":"Not Found"}']);
    });
  });
}
