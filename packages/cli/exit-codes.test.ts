import { afterAll, beforeAll, expect, test } from "vitest";
import { openServer } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture();
  await cli.run("login");
});
afterAll(() => cli.close());

async function answering(status: number, body: unknown, headers: Record<string, string> = {}) {
  return openServer(() => ({ status, body, headers: { "retry-after": "99", ...headers } }));
}

test.each([
  [["nosuch"], 2],
  [["up", "--nosuch"], 2],
  [["up", "name"], 2],
  [["up", "--type", "h1000"], 2],
  [["up", "--type", "cpu", "--hours", "never"], 2],
  [["up", "--type", "cpu", "--env", "=x"], 2],
  [["up", "--type", "cpu", "--gpus", "2"], 2],
  [["up", "--type", "cpu", "--type", "h100"], 2],
  [["ls", "--json", "--json"], 2],
  [["show", "--", "-x"], 3],
  [["end", "--", "--all"], 3],
  [["disks", "rm", "--", "-x"], 3],
  [["extend", "soon"], 2],
  [["show", "no-such-job"], 3],
  [["end", "no-such-job"], 3],
  [["logs", "--", "--help"], 3],
  [["show"], 3],
  [["api", "v1/jobs"], 2],
  [["api", "/v1/nothing"], 3],
  [["wait", "--timeout", "soon"], 2],
])("%j ends with %i and a message only on standard error", async (words, expected) => {
  const { code, stdout, stderr } = await cli.run(...words);

  expect([code, stdout]).toEqual([expected, ""]);
  expect(stderr).toMatch(/^error: [^\n]+\nhint: [^\n]+\n(request id: [^\n]+\n)?$/);
});

test.each([
  [401, "key_invalid", 4],
  [403, "user_disabled", 4],
  [400, "limit", 5],
  [409, "capacity", 5],
  [429, "rate", 5],
  [503, "unavailable", 7],
  [500, "internal", 1],
  [409, "conflict", 1],
])(
  "a server that answers %i %s ends a command with %i, and its request id is shown",
  async (status, kind, expected) => {
    const server = await answering(status, { detail: "No." }, { "berth-error": kind });
    const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

    const { code, stdout, stderr } = await cli.runWith({ env }, "ls");

    server.close();
    expect([code, stdout]).toEqual([expected, ""]);
    expect(stderr).toMatch(/^error: No\.\nhint: .*\nrequest id: r-1\n$/);
  },
);

test.each([
  ["HTML", "<html><body>Welcome</body></html>"],
  ["a cut answer", '{"jobs":[{"job_id"'],
])("%s in place of an answer ends a command with 7", async (_, body) => {
  const server = await answering(200, body, { "content-type": "text/html" });
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

  const { code, stdout, stderr } = await cli.runWith({ env }, "ls");

  server.close();
  expect([code, stdout]).toEqual([7, ""]);
  expect(stderr).toMatch(
    /^error: The server answered 200 with text\/html .*\nhint: .* Berth deployment\.\nrequest id: r-1\n$/,
  );
});

test.each([["ls"], ["show", "x"], ["avail"], ["keys"], ["disks"], ["logs", "x"], ["end", "x"], ["ssh", "x"]])(
  "an answer of another version, without the fields that %s reads, is reported in one sentence",
  async (...words) => {
    const server = await answering(200, { unknown: 1 });
    const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

    const { code, stdout, stderr } = await cli.runWith({ env }, ...words);

    server.close();
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/^error: An answer of the deployment is not understood: .*\nhint: .* berth doctor\n$/);
  },
);

test("a 500 from a server that is not Berth ends a command with 1 or 7, and says so", async () => {
  for (const [body, expected] of [
    [{ detail: "Broken." }, 1],
    ["<html>", 1],
  ] as const) {
    const server = await answering(500, body, { "content-type": "text/html" });
    const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

    const { code, stderr } = await cli.runWith({ env }, "ls");

    server.close();
    expect(code).toBe(expected);
    expect(stderr).toMatch(/^error: [^\n]+\nhint: [^\n]+\nrequest id: r-1\n$/);
  }
});

const line = "x".repeat(10_000_000);
const job = { job_id: "9e41c7d3", name: "x", status: "active", logs: line, next: 1, ended: true, truncated: false };

test("a log of one line of 10 MB arrives completely", async () => {
  const server = await answering(200, { ...job, jobs: [job], total: 1, limit: 1, offset: 0 });
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

  const { code, stdout, stderr } = await cli.runWith({ env }, "logs", "x");

  server.close();
  expect([code, stdout.length, stderr]).toEqual([0, line.length, ""]);
});

test.each([
  ["--help"],
  ["ls", "--json"],
  ["logs", "x"],
  ["api", "/v1/jobs"],
  ["avail", "--json"],
  ["disks", "--json"],
  ["keys", "--json"],
  ["env"],
  ["completion", "bash"],
  ["end", "x", "--json"],
])("%s ends silently if its reader has left, as head does", async (...words) => {
  const lists = { jobs: [job], disks: [job], keys: [job], availability: {} };
  const server = await answering(200, { ...job, ...lists, total: 1, limit: 1, offset: 0 });
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  const started = cli.start({ env }, ...words);
  started.child.stdout?.destroy();

  expect(await started.ended).toMatchObject({ code: 0, stderr: "" });
  server.close();
});

test("an unreachable server ends a command with 7", async () => {
  const server = await answering(200, {});
  server.close();
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

  const { code, stderr } = await cli.runWith({ env }, "api", "POST", "/v1/x");

  expect(code).toBe(7);
  expect(stderr).toMatch(/^error: .* cannot be reached: ECONNREFUSED\nhint: /);
});

test("a wait that takes too long ends with 6", async () => {
  await cli.run("up", "-d", "-t", "h200", "--gpus", "1", "never");

  expect(await cli.run("wait", "never", "--timeout", "1s")).toMatchObject({ code: 6 });
  await cli.run("end", "never");
});

test("a command without a login ends with 4, and no key is sent over plain http", async () => {
  const env = { XDG_CONFIG_HOME: `${cli.state}/none`, BERTH_HOME: `${cli.state}/none` };

  const stderr = [
    "error: You are not logged in",
    "hint: Log in with: berth login https://<your deployment>. On this machine start a stack with: npm start",
  ];
  expect(await cli.runWith({ env }, "ls")).toEqual({ code: 4, stdout: "", stderr: `${stderr.join("\n")}\n` });
  expect(await cli.runWith({ env }, "login", "http://berth.example")).toMatchObject({ code: 2, stdout: "" });
});

test("a failure before the command in a job is 255", async () => {
  expect(await cli.run("ssh", "no-such-job", "--", "true")).toMatchObject({ code: 255, stdout: "" });
});

test("a command to run that is not behind -- is named in the hint", async () => {
  const { code, stderr } = await cli.run("ssh", "some-job", "ls");

  expect([code, stderr]).toEqual([
    2,
    expect.stringContaining("hint: Put the command to run after --, as in: berth ssh"),
  ]);
});

test("no question is asked in a pipe, and the flag is named", async () => {
  await cli.run("up", "-d", "-t", "h200", "asks");

  const { code, stderr } = await cli.run("end");
  expect(code).toBe(2);
  expect(stderr).toContain("--yes");
  expect((await cli.run("end", "--all", "--yes")).code).toBe(0);
});

test("an estimate says once when the job would start, and a machine without GPUs is not shown as 0 of 0", async () => {
  const { stdout } = await cli.run("up", "--dry-run", "-t", "cpu");
  expect(stdout.match(/start/gi)).toHaveLength(1);

  const capacity = { total: 0, available: 0, in_use: 0, queued: 0, max_per_node: 8 };
  const availability = {
    gone: { ...capacity, gpu_type: "gone" },
    scales: { ...capacity, gpu_type: "scales", scalable: 2 },
    cpu: { ...capacity, gpu_type: "cpu", max_per_node: 0 },
  };
  const server = await answering(200, { availability, timestamp: new Date().toISOString() });
  const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };

  const avail = await cli.runWith({ env }, "avail");

  server.close();
  expect(avail.stdout).toMatch(/^TYPE .*\nscales {2}0 .*\ncpu {5}- .*\n$/);
  expect(avail.stdout).not.toContain("gone");
});
