import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import ssh2, { type Client, type ClientChannel } from "ssh2";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { exec, keyFile, said } from "#gateway/ssh/ssh-fixture.ts";
import { must } from "#tests/cluster/objects.ts";
import { readBlocks } from "#tests/e2e/doc-blocks.ts";
import { isOver, type Job, jobClient } from "#tests/e2e/job-client.ts";
import { missingPrograms, runProgram } from "#tests/e2e/program.ts";
import {
  environmentFor,
  openStackFixture,
  root,
  type StackFixture,
  type StackProcess,
} from "#tests/e2e/stack-fixture.ts";
import { type ClusterFixture, namespace, openClusterFixture } from "../fixtures/cluster-fixture.ts";

/** Answer of every pod at its port 8080. */
const page = createServer((request, response) => response.end(`the page at ${request.url}`));
const key = newSshKey();
const clients = new Set<Client>();
let cluster: ClusterFixture;
let fixture: StackFixture;

beforeAll(async () => {
  await once(page.listen(0, "127.0.0.1"), "listening");
  const { port } = page.address() as AddressInfo;
  const nodes = [
    { name: "one", instanceType: "p5.48xlarge" },
    { name: "two", instanceType: "m7i.8xlarge" },
  ];
  cluster = await openClusterFixture(nodes, () => ({ process: true, ports: { 8080: port } }));
  const metadata = { annotations: { "storageclass.kubernetes.io/is-default-class": "true" } };
  must(await cluster.cluster.admin.patch("/apis/storage.k8s.io/v1/storageclasses/berth-gp3", { metadata }));
});

afterAll(async () => {
  await cluster.stop();
  page.close();
});

beforeEach(() => {
  fixture = openStackFixture("berth-access-");
});

afterEach(async () => {
  for (const client of clients) client.destroy();
  clients.clear();
  await endAll();
  await fixture.close();
});

/** The stack leaves environments to the cluster, which here runs them as processes. */
async function endAll(): Promise<void> {
  const { admin } = cluster.cluster;
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
  const pods = `/api/v1/namespaces/${namespace}/pods`;
  must(await admin.remove(jobs, { propagationPolicy: "Background" }));
  await cluster.eventually(
    async () => must(await admin.get<{ items: object[] }>(pods)).items,
    (left) => left.length === 0,
  );
}

const PATIENCE_MS = 180_000;
const settings = () => ({
  COMPUTE: "kubernetes",
  KUBECONFIG: join(cluster.cluster.controlPlane.home, "berth.kubeconfig"),
  SWEEP_SECONDS: "1",
});
const getApi = async (stack: StackProcess) => jobClient(stack.url, (await stack.env()).API_KEY ?? "");

interface SshJob extends Job {
  readonly ssh_command: string | null;
  readonly ssh_host_key: string | null;
}

async function connect(job: Job): Promise<Client> {
  const [, port, username = ""] = /^ssh -p (\d+) (\S+)@127\.0\.0\.1$/.exec((job as SshJob).ssh_command ?? "") ?? [];
  const client = new ssh2.Client();
  clients.add(client);
  const ready = once(client, "ready");
  client.connect({ host: "127.0.0.1", port: Number(port), username, privateKey: key.private });
  await ready;
  client.on("error", () => undefined);
  return client;
}

/** The usual clients: exit codes of a command and three copies, and whether all bytes came back. */
async function copyByOpenSsh(job: Job): Promise<unknown[]> {
  expect(missingPrograms("ssh", "scp", "rsync")).toEqual([]);
  const [, port = "", address = ""] = /^ssh -p (\d+) (\S+)$/.exec((job as SshJob).ssh_command ?? "") ?? [];
  const place = fixture.home;
  const knownNames = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"];
  const options = ["-F", "/dev/null", "-i", keyFile(place, key), ...knownNames.flatMap((name) => ["-o", name])];
  const bytes = randomBytes(3 * 1024 * 1024);
  writeFileSync(join(place, "there"), bytes);
  const run = (program: string, ...words: string[]) => runProgram(program, words, { timeout: PATIENCE_MS });
  const command = await run("ssh", "-p", port, ...options, address, "exit 7");
  const up = await run("scp", "-P", port, ...options, join(place, "there"), `${address}:${place}/inside`);
  const down = await run("scp", "-P", port, ...options, `${address}:${place}/inside`, join(place, "back"));
  const shell = ["ssh", "-p", port, ...options].join(" ");
  const sync = await run("rsync", "-e", shell, `${address}:${place}/inside`, join(place, "synced"));
  const isWhole = ["back", "synced"].every((name) => readFileSync(join(place, name)).equals(bytes));
  return [...[command, up, down, sync].map(({ code }) => code), isWhole];
}

describe("an environment on a cluster, from this machine", { timeout: 3 * PATIENCE_MS }, () => {
  it("is entered by SSH with its own key until it ends, even after a restart of the stack", async () => {
    const first = await fixture.start(settings());
    const before = await getApi(first);
    const lives = "while :; do sleep 1; done";
    const wanted = { instance_type: "p5.48xlarge", gpu_count: 1, name: "train", command: lives };
    const id = await before.submit({ ...wanted, env_vars: { GREETING: "hello" }, ssh_public_keys: [key.public] });
    const job = await before.until(id, ({ status }) => status === "active", PATIENCE_MS);
    const client = await connect(job);

    const command = await said(await exec(client, 'cat; echo "$GREETING" >&2; exit 7'), "good");
    const shell = await new Promise<ClientChannel>((resolve, reject) => {
      client.shell({ term: "vt100", cols: 91, rows: 17 }, (error, channel) =>
        error ? reject(error) : resolve(channel),
      );
    });
    shell.write("stty size; echo $TERM; exit 3\n");
    const terminal = await said(shell);
    const forwarded = await new Promise<ClientChannel>((resolve, reject) => {
      client.forwardOut("127.0.0.1", 0, "127.0.0.1", 8080, (error, channel) =>
        error ? reject(error) : resolve(channel),
      );
    });
    const answer = await said(forwarded, "GET /by-ssh HTTP/1.0\r\n\r\n");
    await expect(
      connect({ ...job, ssh_command: `${(job as SshJob).ssh_command}`.replace("gpu-dev", "gpu") } as Job),
    ).rejects.toThrow("authentication methods failed");
    const copies = await copyByOpenSsh(job);
    await first.kill("SIGTERM");
    const second = await fixture.start(settings());
    const after = await getApi(second);
    const again = await connect(job);
    const later = await said(await exec(again, "echo still here"));
    await exec(again, "sleep 3643");
    const cut = once(again, "close");
    await after.cancel(id);
    await cut;
    const over = await after.until(id, isOver, PATIENCE_MS);

    expect(command).toEqual({ code: 7, signal: undefined, out: "good", err: "hello\n" });
    expect(terminal.out).toContain("17 91\r");
    expect(terminal.out).toContain("vt100\r");
    expect(answer.out).toContain("the page at /by-ssh");
    expect(copies).toEqual([7, 0, 0, 0, true]);
    expect(later).toMatchObject({ code: 0, out: "still here\n" });
    expect(over.status).toBe("cancelled");
    const told = async () => said(await exec(await connect(job), "true"));
    await expect
      .poll(told)
      .toMatchObject({ code: 255, out: "", err: expect.stringMatching(/cancelled.* UTC\)\r\n$/i) });
  });

  it("serves its page under its own name", async () => {
    const stack = await fixture.start(settings());
    const { API_KEY = "" } = await stack.env();
    const call = async (path: string, body?: object) => {
      const init = body ? { method: "POST", body: JSON.stringify(body) } : {};
      const response = await fetch(`${stack.url}${path}`, { ...init, headers: { "x-api-key": API_KEY } });
      return (await response.json()) as {
        data: { environment: { connectionUrls: { vscode: string }; status: string } };
      };
    };
    const place = { workspaceId: "pages-on-a-cluster", cloudRegion: "centralindia" };
    const wanted = { userId: "u", name: "Pages", cpuCores: 2, memoryGB: 4, storageGB: 20, baseImage: "node" };
    const made = await call("/api/v1/environments", { ...place, ...wanted });
    const { host } = new URL(made.data.environment.connectionUrls.vscode);

    const answer = await cluster.eventually(
      () => ask(Number(new URL(stack.url).port), host, { path: "/by-name", headers: { "x-api-key": API_KEY } }),
      ({ status }) => status === 200,
    );
    const stranger = await ask(Number(new URL(stack.url).port), host, {});

    expect(answer.body).toBe("the page at /by-name");
    expect(stranger.status).toBe(401);
  });

  it("runs the first session of docs/embedded-stack.md", async () => {
    expect(missingPrograms("curl", "jq", "npm")).toEqual([]);
    await fixture.start(settings());
    const [session = "", enter = ""] = readBlocks("docs/embedded-stack.md", "## A first session", "sh");
    const file = join(fixture.home, "id_ed25519.pub");
    writeFileSync(file, `${key.public} me@laptop\n`);
    const block = `${session}\n${enter.replaceAll("~/.ssh/id_ed25519.pub", file)}`;

    const { code, stdout, stderr } = await runProgram("/bin/sh", ["-c", block], {
      cwd: root,
      env: environmentFor(fixture.home),
      timeout: 2 * PATIENCE_MS,
    });

    const dates = stdout.split("\n").filter((line) => /^\w{3} .*\d\d:\d\d:\d\d/.test(line));
    expect([code, stderr]).toEqual([0, ""]);
    expect(dates).toHaveLength(3);
    expect(dates[1]).toBe(dates[0]);
    expect(stdout).toMatch(/"ssh_command":"ssh -p \d+ gpu-dev-[\w-]+@127\.0\.0\.1"/);
  });
});
