import fc from "fast-check";
import { expect, test } from "vitest";
import { submitJob } from "#testing/catalog-requests.ts";
import { developer, httpWorld, loginBody } from "#testing/http-world.ts";

const world = await httpWorld({ settings: { keyTtlHours: 168 } });
const key = await world.login();
const job = await submitJob(world, key);

const path = fc
  .tuple(
    fc.constantFrom(...world.endpoints.map((endpoint) => endpoint.path), "/v1/", "/api/x", "/api/v1/x", "/session/x"),
    fc.oneof(fc.constantFrom("", "", "/", "%", "%00", "..", "%2f", "{id}", "💥"), fc.string({ unit: "binary" })),
    fc.oneof(fc.constant(job), fc.string(), fc.constantFrom("__proto__", "constructor", "%E0%A4%A", "x".repeat(9_000))),
  )
  .map(
    ([pattern, rest, id]) => `${pattern.replace(/\{\w+\}/, encodeURI(id.replaceAll(/[\ud800-\udfff]/g, "")))}${rest}`,
  );
const word = fc.oneof(
  fc.string({ unit: "binary", maxLength: 20 }),
  fc.constantFrom("0", "-1", "1e9", "NaN", "queued", "%", "%00", "a,b,", "💥", "99999999999999999999"),
);
const query = fc
  .array(fc.tuple(fc.constantFrom("status", "limit", "offset", "__proto__", "x", ""), word), { maxLength: 4 })
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
    "Idempotency-Key": latin,
    "X-Forwarded-For": latin,
  },
  { requiredKeys: [] },
);

const names = [
  ..."image instance_type duration_hours disk_name disk_size_gb env_vars command gpu_type gpu_count name".split(" "),
  ..."github_user extension_hours aws_access_key_id aws_secret_access_key aws_session_token".split(" "),
  ..."iam_request_url iam_request_headers iam_request_body iam_request_method __proto__ constructor".split(" "),
];
const leaf = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
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
const body = fc.oneof(
  { weight: 4, arbitrary: fc.dictionary(fc.constantFrom(...names), leaf).map((fields) => JSON.stringify(fields)) },
  fc.dictionary(fc.constantFrom(...names), leaf).map((fields) => JSON.stringify({ ...good, ...fields })),
  fc.json(),
  fc.string({ unit: "binary" }),
);
const good = { image: "a", instance_type: "p5.48xlarge", extension_hours: 1, ...loginBody(developer) };

/** No status above 499 but for the login's own two, the envelope of the path's dialect, nothing from inside. */
async function expectDecent(response: Response, verb: string, at: string): Promise<void> {
  const text = await response.text();
  expect(response.status, `${verb} ${at}: ${text.slice(0, 200)}`).toBeLessThan(500);
  expect(response.headers.get("cache-control")).toBe("no-store");
  expect(response.headers.get("x-request-id")).toMatch(/^[A-Za-z0-9._-]{1,128}$/);
  if (response.status < 400 || verb === "HEAD") return;
  expect(Buffer.byteLength(text)).toBeLessThan(40_000);
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
  return /^\/(api|session|sessions|v1\/sessions|v1\/cloudrun)(\/|$)/.test(new URL(`http://x${at}`).pathname)
    ? "another"
    : "gpu-dev";
}

test("no request, whatever its method, path, query, headers and body, is answered 5xx or out of envelope", async () => {
  await fc.assert(
    fc.asyncProperty(method, path, query, headers, body, fc.boolean(), async (verb, at, asked, odd, sent, known) => {
      const url = `${at}${asked && `?${asked}`}`;
      const withBody = verb === "GET" || verb === "HEAD" ? {} : { body: sent };
      const response = await world.request(verb, `http://x${url}`, {
        headers: odd,
        ...withBody,
        ...(known && { key }),
      });

      await expectDecent(response, verb, at);
    }),
    { numRuns: 1_500 },
  );
});

const posts = world.endpoints.filter((endpoint) => endpoint.method === "post").map((endpoint) => endpoint.path);

test("no body is answered 5xx by an endpoint that reads one, and none says what was in a secret field", async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...posts), body, async (pattern, sent) => {
      const at = pattern.replace("{job_id}", job);
      const response = await world.request("POST", at, { key, body: sent });

      await expectDecent(response.clone(), "POST", at);
      expect(await response.text()).not.toContain(developer.secretAccessKey);
    }),
    { numRuns: 1_500 },
  );
  expect(world.log.lines.filter((line) => line.level === "error")).toEqual([]);
});

test("after all that the system still works", async () => {
  const id = await submitJob(world, await world.login(), { instance_type: "g5.12xlarge" });

  await world.advance(2_000);

  const response = await world.request("GET", `/v1/jobs/${id}`, { key: await world.login() });
  expect(await response.json()).toMatchObject({ status: "queued", gpu_type: "a10g" });
});
