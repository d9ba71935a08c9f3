import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import ssh2 from "ssh2";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Discovery } from "../../sdk/berth.ts";
import type { Job } from "../../sdk/jobs.ts";
import { openServer } from "../../sdk/server-fixture.ts";
import { type CliFixture, openCliFixture } from "../cli-fixture.ts";
import { runOpenSsh } from "./ssh-session.ts";

let cli: CliFixture;
let job: Job;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "c7i.8xlarge=4" });
  await cli.run("login");
  await cli.run("up", "-t", "cpu", "pinned");
  for await (const { job_id } of cli.berth.jobs.list({ name: "pinned" })) job = await cli.berth.jobs.get(job_id);
});
afterAll(() => cli.close());

/** A deployment that shows the running job with some changed fields. Without `ssh` it has no `/.well-known/berth`. */
async function showing(fields: Partial<Job>, ssh?: Discovery["ssh"]) {
  const answer = { ...job, message: "(message ID: 1)", actions: [{ id: 1, status: "done" }], ...fields };
  const server = await openServer(({ path }) => {
    if (path === "/.well-known/berth") return ssh ? { body: { ssh } } : { status: 404 };
    return { body: path.includes("?") ? { jobs: [job], total: 1, limit: 1, offset: 0 } : answer };
  });
  return { close: server.close, env: { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) } };
}

test("a job whose host key the API does not name is entered only after its first key was accepted", async () => {
  const { env, close } = await showing({ ssh_host_key: null });
  const fresh = { ...env, XDG_CONFIG_HOME: join(cli.state, "accepting") };
  const ownValue = { XDG_CONFIG_HOME: fresh.XDG_CONFIG_HOME };
  // The stack lets the new key in, and names its host key.
  await cli.runWith({ env: ownValue }, "login");
  await cli.runWith({ env: ownValue }, "ssh", "pinned", "--", "true");
  const hosts = join(ownValue.XDG_CONFIG_HOME, "berth/known_hosts", job.job_id);
  rmSync(hosts);
  const words = ["--", "echo inside"];

  const refused = await cli.runWith({ env: fresh }, "ssh", "pinned", ...words);
  expect(refused).toMatchObject({ code: 255, stdout: "" });
  expect(refused.stderr).toMatch(
    /^error: The deployment names no host key .*\nhint: .*: berth ssh pinned --accept-new-host-key\n$/,
  );
  expect(existsSync(hosts)).toBe(false);

  const accepted = await cli.runWith({ env: fresh }, "ssh", "pinned", "--accept-new-host-key", ...words);
  expect(accepted).toMatchObject({ code: 0, stdout: "inside\n" });
  expect(await cli.runWith({ env: fresh }, "ssh", "pinned", ...words)).toMatchObject({ code: 0, stdout: "inside\n" });
  close();
});

test("a host key that differs from the one in the API is refused with a message", async () => {
  const { env, close } = await showing({ ssh_host_key: job.ssh_host_key?.replace(/.{4}$/, "AAAA") ?? "" });

  for (const words of [
    ["ssh", "pinned", "--", "echo inside"],
    ["cp", "pinned:x", "y"],
  ]) {
    const { code, stdout, stderr } = await cli.runWith({ env }, ...words);

    expect([code, stdout]).toEqual([255, ""]);
    expect(stderr).toMatch(/\nerror: The SSH server at \S+ port \d+ shows another host key .*\nhint: /);
  }
  close();
});

test("a job is entered with either host key while one is exchanged", async () => {
  const shown = job.ssh_host_key ?? "";
  const other = shown.replace(/.{4}$/, "AAAA");
  const [, port = "", host = ""] = /-p (\d+) \S+@(\S+)/.exec(job.ssh_command ?? "") ?? [];
  const enter = async (named: string, gateway: Discovery["ssh"]) => {
    const { env, close } = await showing({ ssh_host_key: named }, gateway);
    const { code, stdout } = await cli.runWith({ env }, "ssh", "pinned", "--", "echo inside");
    close();
    return [code, stdout];
  };
  const gateway = { host, port: Number(port), host_keys: [other, shown] };

  expect(await enter(other, gateway)).toEqual([0, "inside\n"]);
  expect(await enter(shown, { ...gateway, host_keys: [shown, other] })).toEqual([0, "inside\n"]);
  // A key of another server, or of another port, is none of the job.
  expect(await enter(other, { ...gateway, host: "ssh.example" })).toEqual([255, ""]);
  expect(await enter(other, { ...gateway, port: 22 })).toEqual([255, ""]);
  expect(await enter(other, { ...gateway, host_keys: [other] })).toEqual([255, ""]);
});

test.each(["ssh-ed25519 AAAA\nother ssh-ed25519 AAAA", "* ssh-ed25519 AAAA", "ssh-ed25519", ""])(
  "a host key %j that would be another line of known_hosts is refused",
  async (ssh_host_key) => {
    const { env, close } = await showing({ ssh_host_key });

    const { code, stderr } = await cli.runWith({ env }, "ssh", "pinned", "--", "true");

    close();
    expect(code).toBe(255);
    expect(stderr).toMatch(/^error: The server sent an invalid host key: /);
  },
);

test("a server that wants a password is not offered one", async () => {
  const { privateKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const methods: string[] = [];
  const server = new ssh2.Server({ hostKeys: [privateKey] }, (connection) => {
    connection.on("error", () => undefined);
    connection.on("authentication", (context) => {
      methods.push(context.method);
      context.reject(["password", "keyboard-interactive", "publickey"]);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const key = ssh2.utils.parseKey(privateKey);
  if (key instanceof Error) throw key;
  const ssh_host_key = `ssh-rsa ${key.getPublicSSH().toString("base64")}`;
  const { env, close } = await showing({ ssh_host_key, ssh_command: `ssh -p ${port} user@127.0.0.1` });

  const { code } = await cli.runWith({ env }, "ssh", "pinned", "--", "true");

  close();
  server.close();
  expect(code).toBe(255);
  expect(new Set(methods)).toEqual(new Set(["none", "publickey"]));
});

test("a directory of the state with a quote, a space, a percent sign and a backslash in its name works", async () => {
  const env = { XDG_CONFIG_HOME: join(cli.state, 'a "b" %h \\ c') };
  await cli.runWith({ env }, "login");

  const answer = await cli.runWith({ env }, "ssh", "pinned", "--", "echo inside");

  expect(answer).toMatchObject({ code: 0, stdout: "inside\n", stderr: "" });
});

test("no file of an ended job is kept", async () => {
  await cli.run("up", "-t", "cpu", "forgotten");
  await cli.run("ssh", "forgotten", "--", "true");
  const entries = () => ["known_hosts", "let-in"].map((name) => readdirSync(join(cli.state, "berth", name)).length);
  const [hosts = 0, keys = 0] = entries();

  await cli.run("end", "forgotten");

  expect(entries()).toEqual([hosts - 1, keys - 1]);
});

test.each([
  ["HUP", 129],
  ["INT", 130],
  ["KILL", 137],
  ["TERM", 143],
])("a program that SIG%s ends gives %i", async (signal, code) => {
  const before = process.listenerCount("SIGTERM");

  expect(await runOpenSsh("sh", ["-c", `kill -${signal} $$`])).toBe(code);
  expect(process.listenerCount("SIGTERM")).toBe(before);
});

test("SIGTERM in a session ends ssh too, with 143", async () => {
  const session = cli.start({}, "ssh", "pinned", "--", "echo inside; sleep 3600");
  await session.says("inside");

  session.child.kill("SIGTERM");

  expect((await session.ended).code).toBe(143);
});

test.each([["wait"], ["attach"], ["logs"], ["ssh"], ["forward"]])(
  "Ctrl-C in %s while the deployment does not answer ends with 130 at once",
  async (command) => {
    const server = await openServer(() => new Promise(() => undefined));
    const env = { BERTH_URL: server.url, BERTH_API_KEY: "k".repeat(20) };
    const started = cli.start({ env }, command, "pinned", ...(command === "forward" ? ["8000"] : []));
    await expect.poll(() => server.seen.length).toBe(1);

    started.child.kill("SIGINT");

    expect(await started.ended).toMatchObject({ code: 130, stdout: "", stderr: "" });
    server.close();
  },
);
