import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import ssh2 from "ssh2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { ask, basic } from "#gateway/ingress/ingress-fixture.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { exec, said } from "#gateway/ssh/ssh-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { writeIdeStub } from "#process/pages/ide-stub.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { localIdentities } from "./identity/identities.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

const log = recordingLog();
const ssh = newSshKey();
let home: string;
let programs: string;
let stack: Stack;
let port: number;
let key: string;

beforeAll(async () => {
  home = mkdtempSync("/var/tmp/berth-access-");
  programs = mkdtempSync("/var/tmp/berth-programs-");
  chmodSync(programs, 0o755);
  // It runs by the Node that a sandbox shows, and without one by any.
  writeIdeStub(programs, `$([ -x ${home}/tools/node ] && echo ${home}/tools/node || echo ${process.execPath})`);
  const environment = { BERTH_HOME: home, PORT: "0", BERTH_OPEN: "1", LOCAL_PATH: programs };
  stack = await startStack({ environment, log });
  port = Number(new URL(stack.url).port);
  key = /API_KEY='([^']+)'/.exec(await shellEnvironment({ home, fresh: false }))?.[1] ?? "";
});

afterAll(async () => {
  await stack.stop();
  for (const place of [home, programs]) rmSync(place, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: whatever the wire says is compared, not relied upon
async function api(method: string, path: string, body?: unknown): Promise<any> {
  const headers = { "X-API-Key": key };
  const response = await fetch(`${stack.url}${path}`, { method, headers, body: JSON.stringify(body) ?? null });
  return response.json();
}

/** A key of another user. */
async function secondKey(): Promise<string> {
  const [, { accessKeyId, secretAccessKey, sessionToken }] = localIdentities(home);
  const sent = { aws_access_key_id: accessKeyId, aws_secret_access_key: secretAccessKey };
  const { api_key } = await api("POST", "/v1/auth/aws-login", { ...sent, aws_session_token: sessionToken });
  return api_key;
}

/** Opens the URL as a browser does. Its host resolves to this machine. */
const open = (url: string, authorization?: string) =>
  ask(Number(new URL(url).port), new URL(url).host, {
    path: `${new URL(url).pathname}${new URL(url).search}`,
    ...(authorization === undefined ? {} : { headers: { authorization } }),
  });

describe("the page of a session", { retry: 0 }, () => {
  it("opens at its workspace_url only with a key of its owner, even after it was asleep", async () => {
    const { uuid, workspace_url } = await api("POST", "/session/create", { user_id: "user@example.com" });
    const isServed = () => open(workspace_url, basic(key));
    const page = await eventually(isServed, ({ status }) => status === 200);

    const others = [await open(workspace_url), await open(workspace_url, basic(await secondKey()))];
    const notThere = await open(workspace_url.replace(uuid, "00000000"), basic(key));
    await api("POST", `/session/${uuid}/sleep`);
    const asleep = await eventually(isServed, ({ body }) => body.includes("stopped"));
    await api("POST", `/session/${uuid}/wake`);
    const awake = await eventually(isServed, ({ status }) => status === 200);
    await api("DELETE", `/session/${uuid}`);

    expect(workspace_url).toBe(`http://vs-code-${uuid}.preview.localhost:${port}`);
    expect([page.body, awake.body]).toEqual(Array(2).fill(expect.stringContaining(" from /")));
    expect(others.map(({ status }) => status)).toEqual([401, 404]);
    expect([notThere.status, notThere.body]).toEqual([404, others[1]?.body]);
    expect(asleep.status).toBe(503);
    expect((await open(workspace_url, basic(key))).status).toBe(404);
    expect(JSON.stringify(log.lines)).not.toContain(key);
  });

  it("counts as use of its session, which auto-stop does not stop then", async () => {
    const { uuid, workspace_url } = await api("POST", "/session/create", { user_id: "user@example.com" });
    const { compute } = stack.runtime.ports;
    const listSessions = async () => {
      const runs = await compute.listRuns();
      return Promise.all(runs.map(async ({ uid, run }) => (await compute.observe(uid, run))?.sessions ?? 0));
    };
    const before = await listSessions();
    await eventually(
      () => open(workspace_url, basic(key)),
      ({ status }) => status === 200,
    );

    const after = await listSessions();
    await api("DELETE", `/session/${uuid}`);

    expect(new Set(before)).not.toContain(1);
    expect(after).toContain(1);
  });

  it("serves no path of the API, not even an open one, and the API serves none of its paths", async () => {
    const { uuid, workspace_url } = await api("POST", "/session/create", { user_id: "user@example.com" });
    await eventually(
      () => open(workspace_url, basic(key)),
      ({ status }) => status === 200,
    );

    const answers = [
      await open(`${workspace_url}/api/v1/environments`),
      await open(`${workspace_url}/health`, basic(key)),
      await open(`${workspace_url}/k/${key}/api/v1/environments`),
    ];

    expect(answers.map(({ status }) => status)).toEqual([401, 200, 401]);
    expect(answers[1]?.body).toContain(" from /");
    expect(await api("POST", "/chat", { message: "x" })).not.toHaveProperty("reply");
    await api("DELETE", `/session/${uuid}`);
  });
});

describe("the access of a workspace", () => {
  const path = "/api/v1/environments";
  const body = {
    workspaceId: "its-access-is-open",
    userId: "user123",
    name: "Access",
    cloudRegion: "centralindia",
    cpuCores: 2,
    memoryGB: 4,
    storageGB: 20,
    baseImage: "node",
  };

  it("is opened by the printed address and command, with the key that was sent, until it is stopped", async () => {
    const created = await api("POST", path, { ...body, sshPublicKey: `${ssh.public} me@laptop\n` });
    const { connectionUrls } = created.data.environment;
    const home = await eventually(
      () => enter(connectionUrls.ssh, "echo dot > ~/.file; echo $HOME"),
      (text) => text !== "refused",
    );
    const page = await open(connectionUrls.vscode, basic(key));
    await api("POST", `${path}/stop`, body);
    const stopped = [await enter(connectionUrls.ssh, "true"), (await open(connectionUrls.vscode, basic(key))).status];

    const again = await api("POST", `${path}/start`, body);
    const withoutKey = await enter(again.data.environment.connectionUrls.ssh, "true");
    await api("POST", `${path}/stop`, body);
    await api("POST", `${path}/start`, { ...body, sshPublicKey: ssh.public });
    const kept = await eventually(
      () => enter(connectionUrls.ssh, "cat ~/.file"),
      (text) => text !== "refused",
    );
    await api("DELETE", path, { ...body, force: true });

    const label = "ws-its-access-is-open.centralindia";
    expect(connectionUrls).toEqual({
      vscode: `http://${label}.preview.localhost:${port}`,
      ssh: expect.stringMatching(new RegExp(`^ssh -p \\d+ ${label}@127\\.0\\.0\\.1$`)),
    });
    const ended = expect.stringMatching(/ \(\d{4}-\d\d-\d\d .* UTC\)\r\n$/);
    expect([page.status, ...stopped, withoutKey]).toEqual([200, ended, 503, "refused"]);
    const isSandboxed = stack.isolation !== "none";
    expect(isSandboxed ? [home, kept] : "bare").toEqual(isSandboxed ? ["/home/dev8\n", "dot\n"] : "bare");
    expect(await enter(connectionUrls.ssh, "true")).toEqual(ended);
    expect(JSON.stringify(log.lines)).not.toContain(ssh.public.split(" ")[1]);
  });

  it("is the IDE's if the machine has code-server: its password opens the printed address without a key", async () => {
    const created = await api("POST", path, {
      ...body,
      workspaceId: "its-ide-is-open",
      codeServerPassword: "open sesame",
    });
    const { vscode } = created.data.environment.connectionUrls;
    const enterBy = (password: string) => open(`${vscode}/?password=${encodeURIComponent(password)}`);
    const page = await eventually(
      () => enterBy("open sesame"),
      ({ body }) => body.includes(" from "),
    );

    const [wrong, stranger] = [await enterBy("other"), await open(vscode)];
    await api("DELETE", path, { ...body, workspaceId: "its-ide-is-open", force: true });

    expect(page.body).toContain(stack.isolation === "none" ? " from " : "/home/dev8/workspace from /home/dev8");
    expect([wrong, stranger].map(({ body }) => body)).toEqual(Array(2).fill("Enter the password"));
    expect((await open(vscode)).body).toContain("API key as the password");
  });

  /** Runs the printed command as a client that reads only that field. */
  async function enter(command: string, words: string): Promise<string> {
    const [, sshPort, username = "", host = ""] = /^ssh -p (\d+) ([^@]+)@(\S+)$/.exec(command) ?? [];
    const client = new ssh2.Client();
    try {
      const ready = once(client, "ready");
      client.connect({ host, port: Number(sshPort), username, privateKey: ssh.private });
      await ready;
      const { out, err } = await said(await exec(client, words));
      return `${out}${err}`;
    } catch (error) {
      if (String(error).includes("authentication methods failed")) return "refused";
      throw error;
    } finally {
      client.end();
    }
  }
});

describe("a WebSocket to a page", { retry: 0 }, () => {
  it("reaches the code-server of a session only with a key of its owner", async () => {
    const { uuid, workspace_url } = await api("POST", "/session/create", { user_id: "user@example.com" });
    await eventually(
      () => open(workspace_url, basic(key)),
      ({ status }) => status === 200,
    );
    const { host } = new URL(workspace_url);
    const getStatus = async (authorization: string) => {
      const ws = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: { host, authorization } });
      ws.on("error", () => undefined);
      const opened = once(ws, "open").then(() => 101);
      const refused = once(ws, "unexpected-response").then(([, answer]) => answer.statusCode);
      const status = await Promise.race([opened, refused]);
      ws.terminate();
      return status;
    };

    expect([await getStatus(basic(key)), await getStatus(basic("k".repeat(43)))]).toEqual([101, 401]);
    await api("DELETE", `/session/${uuid}`);
  });
});
