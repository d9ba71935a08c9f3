import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { missingPrograms } from "../../tests/e2e/program.ts";
import { openServer, type ServerFixture } from "../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";

let cli: CliFixture;
let github: ServerFixture;
let place: string;
beforeAll(async () => {
  place = mkdtempSync(join(tmpdir(), "berth-access-"));
  spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(place, "octocat")]);
  const body = readFileSync(join(place, "octocat.pub"), "utf8");
  github = await openServer(({ path }) => (path === "/octocat.keys" ? { body } : { status: 404 }));
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4", GITHUB_KEYS_URL: `${github.url}/<user>.keys` });
  await cli.run("login");
  await cli.run("up", "-t", "cpu", "lab");
});
afterAll(async () => {
  await cli.close();
  github.close();
  rmSync(place, { recursive: true });
});

/** Prints where an address leads: `302 http://…`. */
const ask = "fetch(process.argv[1],{redirect:'manual'}).then((r)=>console.log(r.status,r.headers.get('location')))";

/** The environment of a desktop whose browser records the words that it is started with, and where they lead. */
function desktop({ before = "" } = {}) {
  const record = join(place, "browser-words");
  rmSync(record, { force: true });
  const browser = join(place, "browser");
  const lines = `{ printf '%s\\n' "$@"\n${before}'${process.execPath}' -e "${ask}" "$1"\n}`;
  const script = `#!/bin/sh\n${lines} > '${record}.part' 2>&1\nmv '${record}.part' '${record}'\n`;
  writeFileSync(browser, script, { mode: 0o755 });
  const opened = () => (existsSync(record) ? readFileSync(record, "utf8").trimEnd().split("\n") : undefined);
  // Without desktop files xdg-open starts the program of BROWSER.
  const noFiles = { XDG_DATA_DIRS: place, XDG_DATA_HOME: place, XDG_CURRENT_DESKTOP: "" };
  return { env: { ...noFiles, DISPLAY: ":99", BROWSER: browser }, opened };
}

const noDesktop = { DISPLAY: "", WAYLAND_DISPLAY: "", WSL_DISTRO_NAME: "" };

test("without Jupyter, url and open fail with the command that turns it on", async () => {
  for (const command of ["url", "open"]) {
    const answer = await cli.run("jupyter", command, "lab");

    expect(answer).toMatchObject({ code: 1, stdout: "" });
    expect(answer.stderr).toMatch(/^error: lab \(\w{8}\) has no Jupyter: it is off\nhint: .*: berth jupyter on lab\n$/);
  }
});

test("Jupyter is turned on, opened in the browser and turned off, and only its address contains the token", async ({
  skip,
}) => {
  skip(missingPrograms("jupyter").length > 0, "not on this machine: jupyter");
  const { env, opened } = desktop();

  const on = await cli.run("jupyter", "on", "lab");
  const url = on.stdout.trim();
  expect(on).toMatchObject({ code: 0, stderr: "Whoever has this address gets in: it holds the token.\n" });
  expect((await fetch(url.replace("/lab?", "/api/status?"))).status).toBe(200);
  expect((await fetch(url.replace(/\/lab\?.*/, "/api/status?token=x"))).status).toBe(403);
  expect(await cli.run("jupyter", "url", "lab")).toEqual(on);
  expect(JSON.parse((await cli.run("jupyter", "url", "lab", "--json")).stdout).jupyter_url).toBe(url);

  expect(await cli.runWith({ env }, "jupyter", "open", "lab")).toEqual(on);
  await expect.poll(opened).toBeDefined();
  const [word, answer, ...others] = opened() ?? [];
  expect([answer, others]).toEqual([`302 ${url}`, []]);
  expect(word).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}$/);
  const elsewhere = await cli.runWith({ env: noDesktop }, "jupyter", "open", "lab");
  expect(elsewhere).toMatchObject({ code: 0, stdout: on.stdout });
  expect(elsewhere.stderr).toContain("There is no display here, so open the address yourself.\n");

  expect(await cli.run("jupyter", "off", "lab")).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^lab \([0-9a-f]{8}\) has no Jupyter any more\.\n$/),
  });
  await expect(fetch(url)).rejects.toThrow();
});

test("the console opens with a code that the words of no program show, and that works once", async () => {
  const { env, opened } = desktop();
  const { port } = new URL(cli.running.url);
  const origin = `http://berth.localhost:${port}`;
  const use = async (link: string) => {
    const headers = { Host: `berth.localhost:${port}`, Origin: origin, "Sec-Fetch-Site": "same-origin" };
    const body = JSON.stringify({ code: link.slice(link.indexOf("#code=") + "#code=".length) });
    const input = request(`${cli.running.url}/v1/web/sessions`, { method: "POST", headers }).end(body);
    const [response] = await once(input, "response");
    return response.statusCode;
  };

  const answer = await cli.runWith({ env }, "web");
  await expect.poll(opened).toBeDefined();
  const [word = "", redirect = ""] = opened() ?? [];
  const printed = await cli.run("web", "--no-open");
  const elsewhere = await cli.runWith({ env: noDesktop }, "web");
  const asJson = JSON.parse((await cli.run("web", "--json")).stdout);

  expect(answer).toMatchObject({ code: 0, stdout: "" });
  expect(word).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}$/);
  const links = [redirect.slice("302 ".length), printed.stdout.trim(), elsewhere.stdout.trim(), asJson.url];
  for (const link of links) expect(link).toMatch(new RegExp(`^${origin}/login#code=[\\w-]{43}$`));
  expect(elsewhere.stderr).toContain("No browser could be started here, so open the link yourself.\n");
  for (const link of links) expect([await use(link), await use(link)]).toEqual([200, 401]);
});

test.each([null, "https://evil.example/", "//evil.example/", "http://127.0.0.1:1/", "javascript:alert(1)"])(
  "no code is made for a console at %j",
  async (address) => {
    const server = await openServer(({ path }) => ({
      body: { paths: { console: address }, version: "1.0.0", at: path },
    }));

    const answer = await cli.runWith(
      { env: { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) } },
      "web",
      "--no-open",
    );

    server.close();
    expect(answer).toMatchObject({ code: 1, stdout: "" });
    expect(server.seen.map(({ path }) => path)).not.toContain("/v1/web/codes");
  },
);

/** Runs `berth jupyter open` against a server that gives the job this address. */
async function openAt(
  jupyter_url: string | null,
  env: Readonly<Record<string, string>>,
  changes: { readonly jupyter_enabled?: boolean; readonly warning?: string } = {},
) {
  const id = JSON.parse((await cli.run("show", "lab", "--json")).stdout).job_id as string;
  const job = { ...(await cli.berth.jobs.get(id)), jupyter_url, ...changes };
  const server = await openServer(({ path }) => ({
    body: path.includes("?") ? { jobs: [job], total: 1, limit: 1, offset: 0 } : job,
  }));
  const ownValue = { ...env, BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
  return cli.runWith({ env: ownValue }, "jupyter", "open", "lab").finally(server.close);
}

test("another user who reads the address from the process list cannot use it", async ({ skip }) => {
  skip(
    process.platform !== "linux" || process.getuid?.() !== 0,
    "only root of a Linux starts programs of another user",
  );
  const stranger = `'${process.execPath}' -e 'process.setuid(12345);'"${ask}" "$1"\n`;
  const { env, opened } = desktop({ before: stranger });

  await openAt("http://127.0.0.1:1/lab?token=secret", env);

  await expect.poll(opened).toBeDefined();
  expect(opened()?.slice(1)).toEqual(["404 null", "302 http://127.0.0.1:1/lab?token=secret"]);
});

test.each(["file:///etc/passwd", "javascript:alert(1)", "http://a b/", "--help", "vscode://x/y"])(
  "an address of Jupyter that is %s is not opened",
  async (jupyter_url) => {
    const { env, opened } = desktop();

    const answer = await openAt(jupyter_url, env);

    expect(answer.code).toBe(1);
    expect(answer.stderr).toContain("error: The server sent an invalid address of Jupyter, so it was not opened\n");
    expect(opened()).toBeUndefined();
  },
);

test("a Jupyter without an address outside is not called off, and its port can be forwarded", async () => {
  const { code, stdout, stderr } = await openAt(null, {}, { jupyter_enabled: true, warning: "No address" });

  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toMatch(/^error: Jupyter of lab \(\w+\) has no address: No address$/m);
  expect(stderr).toContain("hint: Forward its port with: berth forward lab 8888\n");
});

test("share admits the keys of a GitHub user, and refuses unknown users", async () => {
  const shared = await cli.run("share", "lab", "octocat");

  expect(shared).toMatchObject({ code: 0, stderr: "" });
  const [, line = ""] = /^octocat gets into lab \(\w{8}\) with: ssh (.*)\n$/.exec(shared.stdout) ?? [];
  const options = ["-F", "/dev/null", "-i", join(place, "octocat"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"];
  const unknown = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
  const entered = spawnSync("ssh", [...options, ...unknown, ...line.split(" "), "echo inside"], { encoding: "utf8" });
  expect(entered.stdout).toBe("inside\n");
  const { job_id, secondary_users } = JSON.parse((await cli.run("share", "lab", "octocat", "--json")).stdout);
  expect([job_id, secondary_users]).toEqual([expect.any(String), ["octocat"]]);

  expect(await cli.run("share", "lab", "nobody-there")).toMatchObject({
    code: 2,
    stdout: "",
    stderr: expect.stringMatching(/^error: .*GitHub user 'nobody-there' not found\n/),
  });
  expect(await cli.run("share", "lab", "../octocat")).toMatchObject({ code: 2, stdout: "" });
  expect(await cli.run("share")).toMatchObject({ code: 2, stdout: "" });
});

test("keys lists the keys of the user, and a revoked one needs a new login", async () => {
  const env = { XDG_CONFIG_HOME: join(place, "second") };
  await cli.runWith({ env }, "login");
  const listed = JSON.parse((await cli.runWith({ env }, "keys", "--json")).stdout) as Record<string, unknown>[];
  const { key_prefix } = listed.find(({ current }) => current) ?? {};
  expect((await cli.runWith({ env }, "keys")).stdout).toMatch(
    new RegExp(`^PREFIX +KIND +CREATED +EXPIRES +LAST USED *\\n[^]*(?<=\\n)${key_prefix} .* this one\\n`),
  );

  expect(await cli.run("keys", "revoke", String(key_prefix))).toMatchObject({
    code: 0,
    stdout: `Revoked ${key_prefix}.\n`,
  });

  expect(await cli.runWith({ env }, "keys")).toMatchObject({ code: 4, stdout: "" });
  expect((await cli.run("keys", "ls", "--json")).stdout).not.toContain(String(key_prefix));
  expect(await cli.run("keys", "revoke", "00000000")).toMatchObject({ code: 3, stdout: "" });
});
