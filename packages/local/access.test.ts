import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2 from "ssh2";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { exec, said } from "#gateway/ssh/ssh-fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { silentLog } from "#tests/fixtures/log.ts";
import { shellEnvironment } from "./shell-environment.ts";
import { type Stack, startStack } from "./stack.ts";

const key = newSshKey();
let home: string;
let github: Server;
let stack: Stack;
let apiKey: string;

beforeEach(async () => {
  home = mkdtempSync("/var/tmp/berth-access-");
  github = createServer((request, response) => {
    if (request.url === "/octocat.keys") response.end(`${key.public}\n`);
    else response.writeHead(404).end("Not Found");
  }).listen(0, "127.0.0.1");
  await once(github, "listening");
  await start();
});

afterEach(async () => {
  await stack.stop();
  github.close();
  rmSync(home, { recursive: true });
});

async function start(): Promise<void> {
  const GITHUB_KEYS_URL = `http://127.0.0.1:${(github.address() as AddressInfo).port}/<user>.keys`;
  stack = await startStack({ environment: { BERTH_HOME: home, PORT: "0", GITHUB_KEYS_URL }, log: silentLog() });
  const lines = await shellEnvironment({ home, fresh: false });
  apiKey = /API_KEY='([^']+)'/.exec(lines)?.[1] ?? "";
}

interface Job {
  readonly job_id: string;
  readonly status: string;
  readonly ssh_command: string | null;
  readonly node_port: number | null;
  readonly ssh_host_key: string | null;
  readonly actions: readonly { readonly action: string; readonly status: string; readonly error: string | null }[];
}

async function api(method: string, path: string, body?: unknown): Promise<Job> {
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${stack.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}` },
    ...sent,
  });
  return (await response.json()) as Job;
}

async function jobThat(id: string, holds: (job: Job) => boolean): Promise<Job> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const job = await api("GET", `/v1/jobs/${id}`);
    if (holds(job)) return job;
    if (performance.now() > end)
      throw new Error(`The condition did not become true: ${holds}, but ${JSON.stringify(job)}`);
    await sleep(50);
  }
}

async function submit(more: object = {}): Promise<string> {
  const body = { image: "busybox", instance_type: "g4dn.2xlarge", duration_hours: 1, ...more };
  return (await api("POST", "/v1/jobs/submit", body)).job_id;
}

/** The key that the server there proves to have, in base64. */
function hostKeyAt(port: number | null): Promise<string> {
  const client = new ssh2.Client();
  return new Promise((resolve) => {
    const hostVerifier = (met: Buffer) => {
      resolve(met.toString("base64"));
      return false;
    };
    client
      .on("error", () => undefined)
      .connect({ host: "127.0.0.1", port: port ?? 0, username: "nobody", hostVerifier });
  });
}

/** Runs the printed ssh_command as a client that reads only that field. */
async function enter(command: string | null, words: string, holder = key): Promise<string> {
  const [, port, username, host] =
    /^ssh -p (\d+) (gpu-dev-[0-9a-f]{8}-[0-9a-f]{8})@(127\.0\.0\.1)$/.exec(command ?? "") ?? [];
  const client = new ssh2.Client();
  const ready = once(client, "ready");
  client.connect({ host: host ?? "", port: Number(port), username: username ?? "", privateKey: holder.private });
  await ready;
  const { out, err } = await said(await exec(client, words));
  client.end();
  return `${out}${err}`;
}

describe("access on the local stack", () => {
  it("lets a GitHub user log in with the printed command", async () => {
    const id = await submit({ command: "echo mine > note; exec sleep 3600" });
    const closed = await jobThat(id, ({ status }) => status === "active");
    const command = new RegExp(`^ssh -p ${closed.node_port} gpu-dev-${id.slice(0, 8)}-[0-9a-f]{8}@127\\.0\\.0\\.1$`);
    expect(closed.ssh_command).toBeNull();

    await api("POST", `/v1/jobs/${id}/users`, { github_username: "octocat" });
    const active = await jobThat(id, ({ actions }) => actions[0]?.status === "done");

    expect(active.ssh_command).toMatch(command);
    expect(await enter(active.ssh_command, "cat note")).toBe("mine\n");
    expect(active.ssh_host_key).toBe(`ssh-ed25519 ${await hostKeyAt(active.node_port)}`);
    expect(statSync(join(home, "ssh-host-key")).mode & 0o777).toBe(0o600);
    await api("POST", `/v1/jobs/${id}/cancel`);
    await jobThat(id, ({ status, ssh_command }) => status === "cancelled" && ssh_command === null);
    await expect.poll(() => enter(active.ssh_command, "true")).toMatch(/cancelled.* UTC\)\r\n$/i);
  });

  it("admits the holder of a public key that was sent with the job or later", async () => {
    const ownPair = newSshKey();
    const id = await submit({ ssh_public_keys: [`${ownPair.public} me@laptop`] });
    const { ssh_command } = await jobThat(id, ({ status }) => status === "active");
    expect(await enter(ssh_command, "echo in", ownPair)).toBe("in\n");
    await expect(enter(ssh_command, "true")).rejects.toThrow("authentication methods failed");

    await api("POST", `/v1/jobs/${id}/users`, { public_key: `${key.public}\n` });
    await jobThat(id, ({ actions }) => actions[0]?.status === "done");

    expect(await enter(ssh_command, "echo in")).toBe("in\n");
    expect(await enter(ssh_command, "echo in", ownPair)).toBe("in\n");
  });

  it("refuses an unknown GitHub user, and says in the actions that there is no Jupyter", async () => {
    const id = await submit({ github_user: "octocat" });
    const active = await jobThat(id, ({ status }) => status === "active");

    const refused: unknown = await api("POST", `/v1/jobs/${id}/users`, { github_username: "nobody" });
    await api("POST", `/v1/jobs/${id}/jupyter/enable`);
    const { actions } = await jobThat(id, (job) => job.actions.every(({ status }) => status !== "requested"));

    expect(refused).toMatchObject({ detail: [{ msg: "GitHub user 'nobody' not found" }] });
    const words = { failed: /^Jupyter is not on the PATH/, done: /^null$/ }[actions[0]?.status ?? ""];
    expect(String(actions[0]?.error)).toMatch(words ?? "neither done nor failed");
    expect(await enter(active.ssh_command, "echo $BERTH_GPUS")).toBe("1\n");
  });

  it("keeps its port and its host key over a restart", async () => {
    const id = await submit();
    const { node_port } = await jobThat(id, ({ status }) => status === "active");

    const hostKey = readFileSync(join(home, "ssh-host-key"), "utf8");
    await stack.stop();
    await start();

    const again = await submit({ instance_type: "c7i.8xlarge" });
    expect(readFileSync(join(home, "ssh-host-key"), "utf8")).toBe(hostKey);
    expect(await jobThat(again, ({ status }) => status === "active")).toMatchObject({ node_port });
  });
});
