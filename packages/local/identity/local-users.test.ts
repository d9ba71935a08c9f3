import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { findControlGroups } from "#process/sandbox/control-groups.ts";
import { exportedIn } from "#tests/e2e/stack-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "../shell-environment.ts";
import { type Stack, startStack } from "../stack.ts";

let home: string;
let stack: Stack | undefined;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth users-"));
});

afterEach(async () => {
  await stop();
  rmSync(home, { recursive: true });
});

async function start(settings: Readonly<Record<string, string>>): Promise<Stack> {
  await stop();
  stack = await startStack({
    environment: { BERTH_HOME: home, PORT: "0", SHARE_WITHOUT_MEMORY_LIMIT: "1", ...settings },
    log: silentLog(),
  });
  return stack;
}

async function stop(): Promise<void> {
  const running = stack;
  stack = undefined;
  await running?.stop();
}

const formatFile = (name: string) => join(home, "users", `${name}.env`);
const getMode = (path: string) => statSync(path).mode & 0o777;

/** Logs in with the variables of a file in `users`. */
async function logIn(variables: Readonly<Record<string, string>>) {
  const { API_URL, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = variables;
  const body = {
    aws_access_key_id: AWS_ACCESS_KEY_ID,
    aws_secret_access_key: AWS_SECRET_ACCESS_KEY,
    aws_session_token: AWS_SESSION_TOKEN,
  };
  const response = await fetch(`${API_URL}/v1/auth/aws-login`, { method: "POST", body: JSON.stringify(body) });
  return { status: response.status, ...((await response.json()) as { username?: string; api_key?: string }) };
}

it("each user in LOCAL_USERS gets a login file, and sees only their own environments", async () => {
  const { url, usersDirectory } = await start({ LOCAL_USERS: "ada,grace" });
  const files = ["ada", "grace"].map((name) => exportedIn(readFileSync(formatFile(name), "utf8")));

  const [ada, grace] = await Promise.all(files.map(logIn));
  const call = (key: string | undefined, method: string, path: string, body?: object) =>
    fetch(url + path, { method, headers: { "x-api-key": key ?? "" }, ...(body && { body: JSON.stringify(body) }) });
  const job = { image: "busybox", instance_type: "c7i.8xlarge", command: "true" };
  const submitted = await call(ada?.api_key, "POST", "/v1/jobs/submit", job);
  const { job_id } = (await submitted.json()) as { job_id: string };

  expect([ada?.username, grace?.username, usersDirectory]).toEqual(["ada", "grace", join(home, "users")]);
  expect([getMode(join(home, "users")), getMode(formatFile("ada")), getMode(formatFile("grace"))]).toEqual([
    0o700, 0o600, 0o600,
  ]);
  const seen = await Promise.all([ada, grace].map((user) => call(user?.api_key, "GET", `/v1/jobs/${job_id}`)));
  expect(seen.map(({ status }) => status)).toEqual([200, 404]);
});

it("a user removed from LOCAL_USERS cannot log in until they are listed again", async () => {
  await start({ LOCAL_USERS: "ada,grace" });
  const ada = exportedIn(readFileSync(formatFile("ada"), "utf8"));

  writeFileSync(join(home, "users", "note"), "somebody's own");
  const { url, usersDirectory } = await start({});
  const refused = await logIn({ ...ada, API_URL: url });
  const left = readdirSync(join(home, "users"));
  const again = await start({ LOCAL_USERS: "ada" });

  expect([refused.status, usersDirectory, left]).toEqual([401, undefined, ["note"]]);
  expect((await logIn({ ...ada, API_URL: again.url })).username).toBe("ada");
});

it.each(["Ada", "a", "../x", "a b", "x".repeat(33)])("LOCAL_USERS refuses the name %j", async (name) => {
  await expect(start({ LOCAL_USERS: name })).rejects.toThrow("LOCAL_USERS must be names of 2 to 32 lower-case letters");
});

it("a stack with LOCAL_USERS starts without a memory limit only if the operator allows it", async () => {
  const started = start({ LOCAL_USERS: "ada", SHARE_WITHOUT_MEMORY_LIMIT: "0" });

  if (findControlGroups()?.places.memory) await expect(started).resolves.toHaveProperty("url");
  else await expect(started).rejects.toThrow("set SHARE_WITHOUT_MEMORY_LIMIT=1");
});

it("a stack refuses LOCAL_USERS together with BERTH_OPEN", async () => {
  await expect(start({ LOCAL_USERS: "ada", BERTH_OPEN: "1" })).rejects.toThrow("set it, or LOCAL_USERS, but not both");
});

it("the command waits for a stack that is starting, and says so once", async () => {
  const waits: string[] = [];
  const options = { home, fresh: false, user: "ada", waitMs: PATIENCE_MS, onWait: (path: string) => waits.push(path) };

  const lines = shellEnvironment(options);
  const { url } = await start({ LOCAL_USERS: "ada" });

  const { API_URL, API_KEY, AWS_ACCESS_KEY_ID } = exportedIn(await lines);
  expect([API_URL, AWS_ACCESS_KEY_ID, waits]).toEqual([url, findAccessKey("ada"), [home]]);
  expect(exportedIn(await shellEnvironment(options)).API_KEY).toBe(API_KEY);
  expect(getMode(join(home, "api-key-ada.json"))).toBe(0o600);
});

function findAccessKey(name: string): string | undefined {
  return exportedIn(readFileSync(formatFile(name), "utf8")).AWS_ACCESS_KEY_ID;
}

it("webhooks reach this machine's loopback if one user has the stack, and not if several share it", async () => {
  const submit = async (settings: Readonly<Record<string, string>>) => {
    const { url } = await start(settings);
    const { API_KEY = "" } = exportedIn(await shellEnvironment({ home, fresh: false }));
    const job = { image: "x", instance_type: "c7i.8xlarge", command: "true", webhook_url: "http://127.0.0.1:9/x" };
    const answer = await fetch(`${url}/v1/jobs/submit`, {
      method: "POST",
      headers: { "x-api-key": API_KEY },
      body: JSON.stringify(job),
    });
    return answer.status;
  };

  expect(await submit({})).toBe(200);
  expect(await submit({ LOCAL_USERS: "ada" })).toBe(400);
  expect(await submit({ LOCAL_USERS: "ada", WEBHOOK_ALLOW: "127.0.0.0/8" })).toBe(200);
});
