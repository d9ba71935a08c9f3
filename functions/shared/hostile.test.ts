import fc from "fast-check";
import { expect, test } from "vitest";
import { dialectOfPath } from "#http/app.ts";
import type { Endpoint } from "#http/endpoint.ts";
import { splitPathKey } from "#http/keys/key-prefix.ts";
import {
  catalogWorld,
  createThings,
  fillPath,
  keptSnapshot,
  operator,
  smallJob,
  submitJob,
  type Things,
} from "#tests/fixtures/catalog-requests.ts";
import { developer, loginBody } from "#tests/worlds/http-world.ts";

/** Waiting requests advance the clock, so a rotated key must last. */
const world = await catalogWorld({ settings: { keyTtlHours: 168, keyOverlapSeconds: 168 * 3600 } });
const key = await world.login();
const operatorKey = await world.login(operator);
const things = await thingsOfAll();

/** One resource for each parameter of the catalog's paths, owned by the developer if owned; the job is active. */
async function thingsOfAll(): Promise<Things> {
  const made: Things[] = [];
  const mine = await world.login();
  for (const endpoint of world.endpoints) made.unshift(await createThings(world, endpoint, mine));
  const job_id = await submitJob(world, mine, smallJob);
  await world.deliver();
  return Object.assign({}, ...made, { job_id });
}

const oddIds = ["__proto__", "constructor", "%E0%A4%A", "%2e%2e%2fx", "op-", "x".repeat(9_000)];
const prefix = fc.oneof(
  { weight: 6, arbitrary: fc.constant("") },
  fc.constantFrom("/k", "/k/", "/k//", "/%6B/%", `/k/${key}`, `/k/${key}/k/${key}`, "/k/{key}", "/k/💥"),
);
const path = fc
  .tuple(
    prefix,
    fc.constantFrom(...world.endpoints.map((endpoint) => endpoint.path), "/v1/", "/api/x", "/api/v1/x", "/session/x"),
    fc.oneof(fc.constantFrom("", "", "/", "%", "%00", "..", "%2f", "{id}", "💥"), fc.string({ unit: "binary" })),
    fc.oneof(fc.constant(undefined), fc.string(), fc.constantFrom(...Object.values(things), ...oddIds)),
  )
  .map(([before, pattern, rest, id]) => {
    const written = id === undefined ? undefined : encodeURI(id.replaceAll(/[\ud800-\udfff]/g, ""));
    const ids = Object.entries(things).map(([name, thing]) => [name, written ?? thing]);
    return `${before}${fillPath({ path: pattern }, Object.fromEntries(ids))}${rest}`;
  });
const word = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("0", "-1", "1e9", "NaN", "queued", "%", "%00", "a,b,", "💥", "99999999999999999999"),
);
const query = fc
  .array(fc.tuple(fc.constantFrom("status", "limit", "offset", "tail", "user", "__proto__", "x", ""), word), {
    maxLength: 4,
  })
  .map((pairs) => pairs.map((pair) => pair.join("=")).join("&"));
const method = fc.constantFrom("GET", "POST", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW");
const latin = fc.string({ unit: fc.integer({ min: 33, max: 255 }).map((code) => String.fromCharCode(code)) });
const headers = fc.record(
  {
    "X-Request-ID": latin,
    "X-Correlation-ID": latin,
    "X-API-Key": latin,
    "Content-Type": latin,
    "Content-Length": fc.constantFrom("-1", "0", "x", "1e3", "5", "99999999"),
    "Content-Encoding": fc.constantFrom("gzip", "br", "x"),
    Accept: latin,
    Host: latin,
    Origin: latin,
    "Idempotency-Key": fc.oneof(latin, fc.constantFrom("", "k-1", "k-2", "~".repeat(255), "~".repeat(256))),
    "X-Forwarded-For": latin,
  },
  { requiredKeys: [] },
);

const names = [
  ..."image instance_type duration_hours disk_name disk_size_gb env_vars command gpu_type gpu_count name".split(" "),
  ..."github_user extension_hours aws_access_key_id aws_secret_access_key aws_session_token".split(" "),
  ..."size_gb new_name github_username user prefix webhook_url".split(" "),
  ..."user_id message scale template namespace provider ttl_minutes env timeout code".split(" "),
  ..."productName templateId webhookUrl gpuNum instanceName lastUsedAt".split(" "),
  ..."workspaceId userId cloudRegion cpuCores memoryGB storageGB baseImage force snapshot".split(" "),
  ..."iam_request_url iam_request_headers iam_request_body iam_request_method __proto__ constructor".split(" "),
];
const leaf = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>("octocat", "data", things.disk_name, "developer", 100),
  fc.constantFrom<unknown>("p5.48xlarge", "c7i.8xlarge", "h100", 8, 0.25, 1e300, -0, "a\u0000b", "💥", "\ud800"),
  fc.constantFrom(
    "https://sts.amazonaws.com/",
    "POST",
    "GET",
    "A".repeat(40),
    "Action=GetCallerIdentity&Version=2011-06-15",
  ),
  fc.dictionary(fc.constantFrom("GPU_COUNT", "GPU_TYPE", "GITHUB_USER", "PATH", "authorization", "A"), fc.jsonValue()),
);
/** Few names, for an owner has 500 disks at most. */
const diskName = fc.integer({ min: 1, max: 30 }).map((n) => `disk-${n}`);
const disk = fc.record({ disk_name: diskName, new_name: diskName }, { requiredKeys: [] });
/** One of them can be created once only, and only the one that is there can be started. */
const newWorkspace = fc.integer({ min: 2, max: 999 }).map((n) => `test-workspace-${n}`);
const workspace = fc.record({ workspaceId: fc.oneof(fc.constant("test-workspace-001"), newWorkspace) });
const body = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fc.constantFrom(...names), leaf).map((fields) => JSON.stringify(fields)) },
  fc.dictionary(fc.constantFrom(...names), leaf).map((fields) => JSON.stringify({ ...good, ...fields })),
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...names), leaf, disk, workspace)
      .map(([name, odd, named, ids]) => JSON.stringify({ ...good, ...named, ...ids, [name]: odd })),
  },
  fc.json(),
  fc.string({ unit: "binary" }),
);
const good = {
  image: "a",
  instance_type: "p5.48xlarge",
  extension_hours: 1,
  new_name: "data",
  snapshot_id: keptSnapshot,
  github_username: "octocat",
  // With this field, the one above does not look like a misspelling of it.
  github_user: "octocat",
  user_id: "user@example.com",
  message: "Hi",
  scale: "up",
  template: "python",
  namespace: "n",
  user: "u",
  command: "date",
  code: "print(1)",
  name: "my-instance",
  productName: "RTX 4090 24GB",
  templateId: "pytorch-jupyter",
  instanceName: "my-instance",
  workspaceId: "test-workspace-001",
  userId: "u",
  cloudRegion: "centralindia",
  baseImage: "node",
  cpuCores: 2,
  memoryGB: 4,
  storageGB: 20,
  force: true,
  ...loginBody(developer),
};
const someKey = fc.constantFrom(key, operatorKey);

/** No status above 499 but for the login's own two, the envelope of the path's dialect, nothing from inside. */
async function expectDecent(response: Response, verb: string, at: string): Promise<void> {
  const text = await response.text();
  expect(response.status, `${verb} ${at}: ${text.slice(0, 200)}`).toBeLessThan(500);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-request-id")).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  if (response.status < 400 || verb === "HEAD") return;
  expect(Buffer.byteLength(text)).toBeLessThan(40_000);
  expect(text).not.toContain(key);
  expect(text).not.toMatch(
    /\.ts:\d|node_modules|ZodError|invalid_union|TypeError|undefined is not|Cannot read|\$fault/,
  );
  const answer = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (dialect(at) !== "gpu-dev") return;
  expect(Object.keys(answer)).toEqual(["detail"]);
  if (typeof answer.detail === "string") return;
  for (const item of answer.detail as readonly object[]) {
    expect(Object.keys(item)).toEqual(expect.arrayContaining(["type", "loc", "msg"]));
  }
}

function dialect(at: string): string {
  return dialectOfPath(splitPathKey(new Request(`http://x${at}`)).path).name;
}

const posts = world.endpoints.filter((endpoint) => endpoint.method === "post");
/** A workspace starts once it was stopped. */
const restarts = posts.filter(({ path }) => path === "/api/v1/environments/start");
/** A body that each of them takes. */
const taken = [...posts, ...restarts].map((endpoint, n): [Endpoint, string] => {
  const fields = { ...good, user: endpoint.admin ? undefined : good.user };
  return [endpoint, JSON.stringify({ ...fields, disk_name: `taken-${n}`, new_name: `renamed-${n}` })];
});

const mine = await thingsOfAll();

/** Sends this body to an endpoint with a sufficient key, and returns the status. */
async function post(endpoint: Endpoint, sent: string): Promise<number> {
  const isSpent = /\/(cancel|rename|restore|undelete|snapshots|gone|back)$/.test(endpoint.path);
  // A login of this very test may have ended the one before: a user has ten keys.
  const fresh = await world.login(endpoint.admin ? operator : developer);
  const at = fillPath(endpoint, isSpent ? await createThings(world, endpoint, fresh) : mine);
  const response = await world.request("POST", at, { key: fresh, body: sent });
  await expectDecent(response.clone(), "POST", at);
  expect(await response.text()).not.toContain(developer.secretAccessKey);
  await world.deliver();
  return response.status;
}

// Must run first, because random requests may use up what these requests need.
test("every endpoint that reads a body accepts one of these names, so random bodies are not all refused", async () => {
  const takers = new Set<string>();

  for (const [endpoint, sent] of taken) if ((await post(endpoint, sent)) < 300) takers.add(endpoint.path);

  // They take the key of a record that cannot be read, and a code of a browser.
  const refusing = ["/v1/admin/records/end", "/v1/web/sessions", "/v1/web/codes/show"].toSorted();
  expect(
    posts
      .map(({ path }) => path)
      .filter((path) => !takers.has(path))
      .toSorted(),
  ).toEqual(refusing);
});

test("no combination of method, path, query, headers and body is answered 5xx or outside the envelope", async () => {
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, fc.option(someKey), async (...drawn) => {
      const [verb, at, input, odd, sent, as] = drawn;
      const url = `${at}${input && `?${input}`}`;
      const withBody = verb === "GET" || verb === "HEAD" ? {} : { body: sent };
      const response = await world.request(verb, `http://x${url}`, {
        headers: odd,
        ...withBody,
        ...(as !== null && { key: as }),
      });

      await expectDecent(response, verb, at);
    }),
    { numRuns: 1_500 },
  );
});

test("no body causes a 5xx answer, and no answer repeats a secret field", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...posts), body, async (endpoint, sent) => void (await post(endpoint, sent))),
    { numRuns: 1_000 },
  );

  expect(world.log.lines.filter((line) => line.level === "error")).toEqual([]);
});

test("the system still works afterwards, for its users and its operator", async () => {
  const admission = { key: await world.login(operator) };
  for (const path of ["admission/resume", "pools/a10g/undrain", "pools/h100/undrain"]) {
    expect((await world.request("POST", `/v1/admin/${path}`, admission)).status).toBe(200);
  }
  const mine = await world.login();
  const id = await submitJob(world, mine, { instance_type: "g5.12xlarge" });
  const small = await submitJob(world, mine, { ...smallJob, disk_name: "a-disk-of-its-own" });

  await world.advance(2_000);

  const response = await world.request("GET", `/v1/jobs/${id}`, { key: mine });
  expect(await response.json()).toMatchObject({ status: "queued", gpu_type: "a10g" });
  const active = await world.request("GET", `/v1/jobs/${small}`, { key: mine });
  expect(await active.json()).toMatchObject({ status: "active", disk_name: "a-disk-of-its-own" });
});
