import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

let home: string;
let stack: Stack;
let key: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), "berth-logs-"));
  stack = await startStack({ environment: { BERTH_HOME: home, PORT: "0", SWEEP_SECONDS: "1" }, log: silentLog() });
  key = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false }))?.[1] ?? "";
});

afterAll(async () => {
  await stack.stop();
  rmSync(home, { recursive: true });
});

const patience = { timeout: PATIENCE_MS, interval: 100 };

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const init = { method, headers: { authorization: `Bearer ${key}`, ...headers } };
  return fetch(stack.url + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
}

async function submit(command: string): Promise<string> {
  const job = { image: "ubuntu", instance_type: "g4dn.2xlarge", command };
  const response = await call("POST", "/v1/jobs/submit", job);
  return ((await response.json()) as { readonly job_id: string }).job_id;
}

async function getLogs(id: string, query = "") {
  const response = await call("GET", `/v1/jobs/${id}/logs${query}`);
  return (await response.json()) as { readonly logs: string; readonly truncated: boolean };
}

async function getStatus(id: string): Promise<string> {
  return ((await (await call("GET", `/v1/jobs/${id}`)).json()) as { readonly status: string }).status;
}

test("a job's output can be read while it runs and after its end, as JSON and as text", async () => {
  const id = await submit("echo one; echo two >&2; sleep 20; echo three");

  await expect.poll(async () => (await getLogs(id)).logs, patience).toBe("one\ntwo\n");
  expect(await getStatus(id)).toBe("active");
  await expect.poll(() => getStatus(id), patience).toBe("completed");

  await expect.poll(async () => (await getLogs(id)).logs, patience).toBe("one\ntwo\nthree\n");
  expect(await getLogs(id, "?tail=1")).toMatchObject({ logs: "three\n", truncated: true });
  const text = await call("GET", `/v1/jobs/${id}/logs`, undefined, { accept: "text/plain" });
  expect(text.headers.get("content-type")).toBe("text/plain; charset=utf-8");
  expect(await text.text()).toBe("one\ntwo\nthree\n");
});

test("a follower receives most lines in separate answers, although logs are copied every 2 s", async () => {
  const id = await submit("for n in 1 2 3 4 5 6 7 8 9 10; do echo $n; sleep 0.4; done");
  const pieces: string[] = [];
  let log = { logs: "", next: "0", ended: false };
  while (!log.ended) {
    const response = await call("GET", `/v1/jobs/${id}/logs?after=${log.next}&wait=20`);
    log = (await response.json()) as typeof log;
    if (log.logs !== "") pieces.push(log.logs);
  }

  expect(pieces.join("")).toBe("1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n");
  expect(pieces.length).toBeGreaterThan(5);
});

test("an event stream carries the log of a job to its end", async () => {
  const id = await submit("for n in 1 2 3 4 5; do printf '%s%%\\r' $n; sleep 0.2; done; echo 'bye \u{1F680}'");
  const response = await call("GET", `/v1/jobs/${id}/logs`, undefined, { accept: "text/event-stream" });
  const events = (await response.text()).split("\n\n").filter((event) => event.includes("event: "));

  const logs = events.filter((event) => event.includes("event: log"));
  const texts = logs.map((event) => (JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? "") as { logs: string }).logs);
  expect(texts.join("")).toBe("1%\r2%\r3%\r4%\r5%\rbye \u{1F680}\n");
  expect(events.at(-1)).toMatch(/^id: \d+\nevent: ended\ndata: \{\}$/);
});

test("output that is not text is shown with its invalid bytes replaced", async () => {
  const id = await submit("printf 'a\\377\\000\\303(b'; printf '\\360\\237\\232\\200\\n'");

  await expect.poll(() => getStatus(id), patience).toBe("completed");

  await expect.poll(async () => (await getLogs(id)).logs, patience).toBe("a\ufffd\0\ufffd(b🚀\n");
});

test("the newest part of a long output is kept, up to its last line", async () => {
  const id = await submit("seq 1 400000");

  await expect.poll(() => getStatus(id), patience).toBe("completed");

  await expect.poll(async () => (await getLogs(id, "?tail=2")).logs, patience).toBe("399999\n400000\n");
  const whole = await call("GET", `/v1/jobs/${id}/logs?tail=10000`, undefined, { accept: "text/plain" });
  expect((await whole.text()).split("\n")).toHaveLength(10_001);
});

test("the output of a cancelled job is kept after its run is removed", async () => {
  const id = await submit("echo hello; sleep 600");
  // A job is active once its command has begun, which may be before that has printed anything.
  await expect.poll(async () => (await getLogs(id)).logs, patience).toBe("hello\n");

  await call("POST", `/v1/jobs/${id}/cancel`);

  const left = () => readdirSync(join(home, "runs")).filter((name) => !name.startsWith("."));
  await expect.poll(left, patience).toEqual([]);
  expect((await getLogs(id)).logs).toBe("hello\n");
});

test("twenty concurrent submits with one Idempotency-Key create one job", async () => {
  const job = { image: "ubuntu", instance_type: "g4dn.2xlarge", command: "true", disk_name: "shared" };

  const answers = await Promise.all(
    Array.from({ length: 20 }, async () => {
      const response = await call("POST", "/v1/jobs/submit", job, { "idempotency-key": "k-1" });
      return `${response.status} ${await response.text()}`;
    }),
  );

  expect(new Set(answers).size).toBe(1);
  expect(answers[0]).toMatch(/^200 /);
});

test("a key can be rotated, and the new one can revoke the old one early", async () => {
  const rotated = await call("POST", "/v1/keys/rotate");
  const { api_key } = (await rotated.json()) as { readonly api_key: string };
  const old = key;
  key = api_key;

  const ended = await call("DELETE", `/v1/keys/${old.slice(0, 8)}`);

  expect([rotated.status, ended.status]).toEqual([200, 200]);
  const { keys } = (await (await call("GET", "/v1/keys")).json()) as { keys: { key_prefix: string }[] };
  expect(keys.map(({ key_prefix }) => key_prefix)).toEqual([key.slice(0, 8)]);
});
