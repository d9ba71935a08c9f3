import { afterEach, expect, test } from "vitest";
import { Berth, BerthError, KeyError, NotFoundError, UnreachableError, UnreadableAnswerError } from "./index.ts";
import { openServer, type ServerFixture } from "./server-fixture.ts";

const open: ServerFixture[] = [];
afterEach(() => {
  for (const server of open.splice(0)) server.close();
});

async function serve(answer: Parameters<typeof openServer>[0]): Promise<ServerFixture> {
  const server = await openServer(answer);
  open.push(server);
  return server;
}

const job = { image: "ubuntu:24.04", instance_type: "c7i.8xlarge" } as const;

test("a submit is sent again under its one idempotency key after 503, 429 and a lost connection", async () => {
  const replies = [
    { status: 503, headers: { "retry-after": "0" } },
    { status: 429, headers: { "retry-after": "0" } },
    { hangUp: true },
    { body: { job_id: "j" } },
  ];
  const { url, seen } = await serve(() => replies.shift() ?? {});

  const { job_id } = await new Berth({ url, key: "k".repeat(20) }).jobs.submit(job);

  expect(job_id).toBe("j");
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map(({ headers }) => headers["idempotency-key"])).size).toBe(1);
  expect(seen[0]?.headers["idempotency-key"]).toMatch(/^[\w-]{36}$/);
});

test("a call gives up after four repeats", async () => {
  const { url, seen } = await serve(() => ({ status: 502, headers: { "retry-after": "0" }, body: "<html>" }));

  const failure = await new Berth({ url }).jobs.get("9e41").catch((error: unknown) => error);

  expect(failure).toMatchObject({ status: 502, code: "unavailable" });
  expect(seen).toHaveLength(5);
});

test("a call does not wait for a Retry-After beyond 30 s", async () => {
  const { url, seen } = await serve(() => ({ status: 503, headers: { "retry-after": "31" } }));

  await expect(new Berth({ url }).jobs.get("9e41")).rejects.toMatchObject({ code: "unavailable" });
  expect(seen).toHaveLength(1);
});

test("a POST of unknown kind is never sent twice", async () => {
  const { url, seen } = await serve(() => ({ hangUp: true }));

  await expect(new Berth({ url }).call("POST", "/v1/x")).rejects.toThrow(UnreachableError);
  expect(seen).toHaveLength(1);
});

test.each([
  [401, { detail: "API key has expired" }, {}, "key_expired"],
  [401, { detail: "API key has been revoked" }, {}, "key_revoked"],
  [401, { detail: "Not authenticated" }, {}, "key_missing"],
  [401, { detail: "Invalid API key" }, {}, "key_invalid"],
  [401, { detail: "AWS signature verification failed" }, {}, "key_invalid"],
  [403, { detail: "User account is disabled" }, {}, "user_disabled"],
  [403, { detail: "Access denied. Required role: a, got: b" }, {}, "key_invalid"],
  [404, { detail: "Job 9e41 not found" }, {}, "not_found"],
  [409, { detail: "Job id '9e41' is ambiguous" }, {}, "ambiguous"],
  [409, { detail: "Disk 'd' is currently in use" }, {}, "conflict"],
  [400, { detail: "You have 10 jobs waiting, at most 10 may wait" }, {}, "limit"],
  [400, { detail: "no" }, { "berth-error": "capacity" }, "capacity"],
  [400, { detail: "no" }, { "berth-error": "from-the-future" }, "invalid"],
  [500, { detail: "Internal server error" }, {}, "internal"],
] as const)("%i %j with headers %j is the error %s", async (status, body, headers, code) => {
  const { url } = await serve(() => ({ status, body, headers }));

  const failure = await new Berth({ url, key: "k".repeat(20) }).jobs.get("9e41").catch((error: unknown) => error);

  expect(failure).toBeInstanceOf(BerthError);
  expect(failure).toMatchObject({ status, code, requestId: "r-1", message: body.detail });
});

test("invalid fields are reported in one sentence that names each", async () => {
  const detail = [
    { type: "missing", loc: ["body", "image"], msg: "Field required", input: {} },
    { type: "enum", loc: ["body"], msg: "No", input: {} },
  ];
  const { url } = await serve(() => ({ status: 400, body: { detail } }));

  await expect(new Berth({ url }).jobs.submit(job)).rejects.toThrow("image: Field required; body: No");
});

test.each([
  ["HTML", { headers: { "content-type": "text/html" }, body: "<html>hi</html>" }],
  ["half an object", { body: '{"job_id":"9e' }],
  ["nothing", { body: "" }],
])("an answer that is %s is an unreadable one", async (_, reply) => {
  const { url } = await serve(() => reply);

  await expect(new Berth({ url }).jobs.get("9e41")).rejects.toThrow(UnreadableAnswerError);
});

test("an expired key is renewed once for all failed calls", async () => {
  let renewals = 0;
  const fresh = "f".repeat(20);
  const { url } = await serve(({ headers }) => {
    const isFresh = headers.authorization === `Bearer ${fresh}`;
    return isFresh ? { body: { job_id: "j" } } : { status: 401, body: { detail: "API key has expired" } };
  });
  const credentials = async () => {
    renewals++;
    return fresh;
  };
  const berth = new Berth({ url, key: "o".repeat(20), credentials });

  const found = await Promise.all(["a", "b", "c"].map((id) => berth.jobs.get(id)));

  expect(found).toHaveLength(3);
  expect(renewals).toBe(1);
});

test("a key that expired again right after its renewal is not renewed again", async () => {
  let renewals = 0;
  const { url } = await serve(() => ({ status: 401, body: { detail: "API key has expired" } }));
  const credentials = async () => `${++renewals}`.padEnd(20, "x");

  await expect(new Berth({ url, credentials }).jobs.get("a")).rejects.toThrow(KeyError);
  expect(renewals).toBe(2);
});

test("a revoked key is not renewed", async () => {
  let renewals = 0;
  const { url } = await serve(() => ({ status: 401, body: { detail: "API key has been revoked" } }));
  const credentials = async () => `${++renewals}`.padEnd(20, "x");

  await expect(new Berth({ url, key: "k".repeat(20), credentials }).jobs.get("a")).rejects.toThrow(KeyError);
  expect(renewals).toBe(0);
});

test("a signal ends a call that waits for an answer, and one that waits for its next attempt", async () => {
  const reached = Promise.withResolvers<void>();
  const { url } = await serve(({ path }) => {
    reached.resolve();
    return path.includes("slow") ? new Promise(() => undefined) : { status: 503, headers: { "retry-after": "20" } };
  });
  for (const id of ["slow", "busy"]) {
    const abort = new AbortController();
    const call = new Berth({ url }).jobs.get(id, { signal: abort.signal }).catch((error: unknown) => error);
    await reached.promise;
    abort.abort(new Error("enough"));
    expect(await call).toMatchObject({ message: "enough" });
  }
});

test.each(["http://berth.example", "http://127.evil.example", "ftp://127.0.0.1"])("no key is sent to %s", (url) => {
  expect(() => new Berth({ url, key: "k".repeat(20) })).toThrow("is not https");
});

test("no error contains a key", async () => {
  const key = "secret".repeat(8);
  const { url } = await serve(() => ({ hangUp: true }));
  const failure = await new Berth({ url, key }).keys.rotate().catch((error: unknown) => error);

  expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain(key);
});

test("an id that a user typed stays one segment of the path", async () => {
  const { url, seen } = await serve(() => ({ status: 404, body: { detail: "no" } }));

  await expect(new Berth({ url }).jobs.get("../disks?x#y")).rejects.toThrow(NotFoundError);
  expect(seen[0]?.path).toBe("/v1/jobs/..%2Fdisks%3Fx%23y");
});

test("a page's client sends the browser's cookie in place of a key", async () => {
  const sent: { readonly credentials?: string; readonly headers: Readonly<Record<string, string>> }[] = [];
  const fetched = async (_: URL, init: (typeof sent)[number]) => {
    sent.push(init);
    return Response.json({});
  };
  const url = "https://berth.example";

  await new Berth({ url, cookie: true, fetch: fetched }).me();
  await new Berth({ url, key: "k".repeat(20), fetch: fetched }).me();

  expect(sent.map(({ credentials }) => credentials)).toEqual(["same-origin", undefined]);
  expect(sent.map(({ headers }) => headers.authorization)).toEqual([undefined, `Bearer ${"k".repeat(20)}`]);
});
