import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { spawn as spawnOnTerminal } from "@lydell/node-pty";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually } from "../../tests/e2e/processes.ts";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { cleanEnvironment, startCli } from "./cli-fixture.ts";

let certificate: { readonly cert: string; readonly key: string };
let place: string;
beforeAll(() => {
  place = mkdtempSync(join(tmpdir(), "berth-login-"));
  const [key, cert] = [join(place, "key.pem"), join(place, "cert.pem")];
  const words = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=127.0.0.1"];
  const more = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert];
  spawnSync("openssl", ["req", ...words, ...more]);
  certificate = { key: readFileSync(key, "utf8"), cert: readFileSync(cert, "utf8") };
});
afterAll(() => rmSync(place, { recursive: true }));

let state: string;
const servers: ServerFixture[] = [];
beforeEach(() => {
  state = mkdtempSync(join(place, "state-"));
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const answer = { api_key: `berth_${"k".repeat(30)}`, expires_at: "2099-01-01T00:00:00Z", username: "ada" };

/** A deployment that claims a server id and gives every login a key. `https` is one that is not on this machine. */
async function deployment(
  server_id: () => string,
  kind: "http" | "https" = "http",
  expiredKey: () => string | undefined = () => undefined,
): Promise<ServerFixture> {
  const login = { path: "/v1/auth/aws-login", sts_origins: ["https://sts.us-east-1.amazonaws.com"], region: null };
  const expired = { status: 401, headers: { "berth-error": "key_expired" }, body: { detail: "API key has expired" } };
  const server = await openServer(
    ({ path, headers }) => {
      if (headers.authorization === `Bearer ${expiredKey()}`) return expired;
      return {
        body: path === login.path ? answer : { login: { ...login, server_id: server_id() }, keys: [], disks: [] },
      };
    },
    kind === "https" ? certificate : undefined,
  );
  servers.push(server);
  return server;
}

function environment(): Record<string, string> {
  return {
    ...cleanEnvironment(),
    XDG_CONFIG_HOME: state,
    BERTH_HOME: join(state, "none"),
    NODE_EXTRA_CA_CERTS: join(place, "cert.pem"),
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
}

function run(...words: string[]) {
  return startCli(environment(), {}, words).ended;
}

/** Logins that a deployment got, by the server id that their signature covers. */
function listLogins({ seen }: ServerFixture): unknown[] {
  const bodies = seen.filter(({ method }) => method === "POST").map(({ body }) => JSON.parse(body));
  return bodies.map(({ iam_request_headers }) => iam_request_headers["x-berth-server-id"]);
}

const profilesPath = () => join(state, "berth/profiles.json");

/** A profile of an earlier login, whose key has expired. */
function writeProfile(url: string, fields: object): void {
  mkdirSync(join(state, "berth"), { mode: 0o700 });
  const profile = {
    key: "old",
    expiresAt: "2020-01-01T00:00:00Z",
    username: "ada",
    source: { kind: "aws" },
    ...fields,
  };
  writeFileSync(profilesPath(), JSON.stringify({ current: url, profiles: { [url]: profile } }));
}

test("the first login in a pipe needs --server-id, which the profile keeps and every signature covers", async () => {
  const server = await deployment(() => "berth.corp", "https");

  const first = await run("login", server.url);
  expect(first).toMatchObject({ code: 2, stdout: "" });
  expect(first.stderr).toMatch(
    /^error: You log in to \S+ for the first time, .* 'berth\.corp'\nhint: .*--server-id berth\.corp\n$/,
  );
  expect(listLogins(server)).toEqual([]);

  const otherAnswer = await run("login", server.url, "--server-id", "berth.other");
  expect(otherAnswer).toMatchObject({ code: 4, stdout: "" });
  expect(listLogins(server)).toEqual([]);

  expect(await run("login", server.url, "--server-id", "berth.corp")).toMatchObject({ code: 0, stderr: "" });
  expect(await run("login", server.url)).toMatchObject({ code: 0, stderr: "" });
  expect(listLogins(server)).toEqual(["berth.corp", "berth.corp"]);
  expect(JSON.parse(readFileSync(profilesPath(), "utf8")).profiles[server.url].serverId).toBe("berth.corp");
});

test.each(["http", "https"] as const)(
  "a deployment by %s that claims the id of another one gets no login",
  async (kind) => {
    writeProfile("https://berth.corp", { serverId: "berth.corp" });
    const fake = await deployment(() => "berth.corp", kind);

    for (const more of [[], ["--server-id", "berth.corp"]]) {
      const { code, stdout, stderr } = await run("login", fake.url, ...more);

      expect([code, stdout]).toEqual([4, ""]);
      expect(stderr).toMatch(
        /^error: \S+ says that it is 'berth\.corp', which is the deployment at https:\/\/berth\.corp, /,
      );
    }
    expect(listLogins(fake)).toEqual([]);
  },
);

test("a deployment whose id has changed gets no login, neither at a renewal nor by hand", async () => {
  const server = await deployment(() => "berth.new");
  writeProfile(server.url, { serverId: "berth.old" });

  for (const words of [["keys"], ["login", server.url]]) {
    const { code, stdout, stderr } = await run(...words);

    expect([code, stdout]).toEqual([4, ""]);
    expect(stderr).toMatch(
      /^error: \S+ says that it is 'berth\.new', and at your last login it was 'berth\.old', .*\nhint: /,
    );
  }
  expect(listLogins(server)).toEqual([]);
});

test("a key is renewed under the id of the profile, and a profile without one needs a login", async () => {
  const server = await deployment(() => "berth.corp");
  writeProfile(server.url, { serverId: "berth.corp" });
  expect(await run("keys", "--json")).toMatchObject({ code: 0, stdout: "[]\n", stderr: "" });
  expect(listLogins(server)).toEqual(["berth.corp"]);

  rmSync(join(state, "berth"), { recursive: true });
  writeProfile(server.url, {});
  expect(await run("keys")).toMatchObject({
    code: 4,
    stdout: "",
    stderr: expect.stringContaining(`berth login ${server.url}`),
  });
  expect(listLogins(server)).toEqual(["berth.corp"]);
});

/** Runs a first login on a terminal and answers its question. Returns what the terminal showed, and the exit code. */
function answerOnTerminal(url: string, key: string): Promise<{ readonly code: number; readonly shown: string }> {
  const words = [join(import.meta.dirname, "berth.mjs"), "login", url];
  const terminal = spawnOnTerminal(process.execPath, words, { cols: 200, env: environment() });
  let shown = "";
  terminal.onData((part) => {
    shown += part;
    if (part.includes("[y/N] ")) terminal.write(key);
  });
  return new Promise((resolve) => terminal.onExit(({ exitCode }) => resolve({ code: exitCode, shown })));
}

test.each([
  ["y", "y\r", 0, 1],
  ["n", "n\r", 1, 0],
  ["nothing", "\r", 1, 0],
  ["Ctrl-C", "\u0003", 130, 0],
  ["Ctrl-D", "\u0004", 1, 0],
])("the first login on a terminal shows the id and asks: %s", async (_, key, code, logins) => {
  const server = await deployment(() => "berth.corp", "https");

  const answered = await answerOnTerminal(server.url, key);

  expect(answered.code).toBe(code);
  expect(answered.shown).toContain("It says that it is the deployment 'berth.corp'.");
  expect(listLogins(server)).toHaveLength(logins);
});

test("SIGTERM in a question leaves the terminal as it was", async () => {
  const server = await deployment(() => "berth.corp", "https");
  const [before, after, pid] = ["before", "after", "pid"].map((name) => join(state, name));
  const berth = `echo $$ > ${pid}; exec ${process.execPath} ${join(import.meta.dirname, "berth.mjs")} login ${server.url}`;
  const script = `stty -g > ${before}; sh -c '${berth}'; echo "code $?"; stty -g > ${after}`;
  const terminal = spawnOnTerminal("sh", ["-c", script], { cols: 200, env: environment() });
  let shown = "";
  terminal.onData((part) => {
    shown += part;
    if (part.includes("[y/N] ")) process.kill(Number(readFileSync(pid ?? "", "utf8")), "SIGTERM");
  });
  await new Promise((resolve) => terminal.onExit(resolve));

  expect(shown).toContain("code 143");
  expect(readFileSync(after ?? "", "utf8")).toBe(readFileSync(before ?? "", "utf8"));
});

test("a server id with control characters is refused", async () => {
  const server = await deployment(() => "\u001B[2Jberth.corp", "https");

  const { code, stderr } = await run("login", server.url);

  expect(code).toBe(1);
  expect(stderr).not.toContain("\u001B");
});

test.each([
  [["ls"], { BERTH_URL: "berth.example" }, "BERTH_URL is not an address"],
  [["ls"], { BERTH_URL: "berth.example:443/x", BERTH_API_KEY: "k" }, "BERTH_URL is not an address"],
  [["ls"], { BERTH_URL: "https://" }, "BERTH_URL is not an address"],
  [["ls"], { API_URL: "nonsense", API_KEY: "k" }, "API_URL is not an address"],
  [["login"], { BERTH_URL: "berth.example" }, "BERTH_URL is not an address"],
  [["login", "http://"], {}, "This is not an address"],
  [["ls"], { BERTH_API_KEY: "k" }, "is set without a deployment"],
  [["ls"], { BERTH_URL: "http://berth.example", BERTH_API_KEY: "k" }, "is not https, so no key is sent there"],
  [["ls"], { API_URL: "http://192.0.2.1:8080", API_KEY: "k" }, "is not https, so no key is sent there"],
  [["login", "http://berth.example"], {}, "is not https, so no key is sent there"],
  [["ls"], { BERTH_URL: "https://berth.example", BERTH_API_KEY: "two words" }, "characters that no key has"],
])("%j with %j is wrong usage", async (words, env, message) => {
  const { code, stdout, stderr } = await startCli({ ...environment(), ...env }, {}, words).ended;

  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toMatch(/^error: /);
  expect(stderr).toContain(message);
  expect(stderr).not.toMatch(/two words|\n\s+at /);
});

test("BERTH_API_KEY without an address is used with the address of the last login", async () => {
  const server = await deployment(() => "berth.corp");
  writeProfile(server.url, { serverId: "berth.corp" });
  const env = { ...environment(), BERTH_API_KEY: "from-the-environment" };

  expect(await startCli(env, {}, ["keys", "--json"]).ended).toMatchObject({ code: 0, stdout: "[]\n" });
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(["Bearer from-the-environment"]);
});

test("a refused key names the deployment to log in to, or the variable that holds the key", async () => {
  const server = await openServer(() => ({ status: 401, body: { detail: "API key has been revoked" } }));
  servers.push(server);
  writeProfile(server.url, { expiresAt: "2099-01-01T00:00:00Z", serverId: "x" });

  expect((await run("ls")).stderr).toContain(`\nhint: Log in with: berth login ${server.url}\n`);
  const env = { ...environment(), BERTH_API_KEY: "k" };
  const { stderr } = await startCli(env, {}, ["ls"]).ended;
  expect(stderr).toContain(
    `\nhint: BERTH_API_KEY holds the key. Unset it and log in with: berth login ${server.url}\n`,
  );
});

test.each(["127.0.0.1", "localhost"])("a login accepts an address on %s without http://", async (host) => {
  const server = await deployment(() => "berth.corp");
  const { port } = new URL(server.url);

  const { code, stdout } = await run("login", `${host}:${port}`, "--server-id", "berth.corp");

  expect([code, stdout]).toEqual([0, expect.stringContaining(`Logged in to http://${host}:${port} as ada.`)]);
  expect(listLogins(server)).toEqual(["berth.corp"]);
});

test("a logout accepts an address like a login", async () => {
  const server = await deployment(() => "berth.corp");
  writeProfile(server.url, { serverId: "berth.corp" });

  expect(await run("logout", `${server.url}/`)).toMatchObject({ code: 0, stdout: `Logged out of ${server.url}.\n` });
  expect(JSON.parse(readFileSync(profilesPath(), "utf8"))).toEqual({ profiles: {} });
});

test("a watch silently renews a key that expires meanwhile", async () => {
  let expired: string | undefined;
  const server = await deployment(
    () => "berth.corp",
    "http",
    () => expired,
  );
  writeProfile(server.url, { expiresAt: "2099-01-01T00:00:00Z", serverId: "berth.corp" });
  const watch = startCli(environment(), {}, ["disks", "-w", "--json"]);
  await watch.says("[]\n");
  expired = "old";
  const renewed = () => server.seen.filter(({ headers }) => headers.authorization === `Bearer ${answer.api_key}`);
  await eventually(
    async () => renewed().length,
    (count) => count >= 2,
  );
  watch.child.kill("SIGINT");

  expect(await watch.ended).toEqual({ code: 130, stdout: "[]\n", stderr: "" });
  expect(listLogins(server)).toEqual(["berth.corp"]);
});

test("completion neither logs in nor renews a key", async () => {
  const server = await deployment(() => "berth.corp");
  writeProfile(server.url, { serverId: "berth.corp" });
  expect(await run("__complete", "show", "")).toMatchObject({ code: 0, stderr: "" });

  rmSync(join(state, "berth"), { recursive: true });
  expect(await run("__complete", "show", "")).toMatchObject({ code: 0, stderr: "" });
  expect(server.seen).toEqual([]);
});
