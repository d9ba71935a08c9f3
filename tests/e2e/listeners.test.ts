import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { type AskOptions, ask } from "#gateway/ingress/ingress-fixture.ts";
import { findFreePorts } from "#process/network/local-ports.ts";
import { jupyterStub } from "#process/pages/jupyter-stub.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { callApi, jobClient } from "./job-client.ts";
import { canListProcesses, eventually } from "./processes.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

let fixture: StackFixture;

beforeEach(() => {
  fixture = openStackFixture("berth-listeners-");
});

afterEach(() => fixture.close());

describe("the local stack", { retry: 0 }, () => {
  it.for([true, false])("listens only for its API, STS and SSH, with metrics: %s", async (hasMetrics, { skip }) => {
    if (!canListProcesses) skip("this machine has no /proc to look for listeners in");
    const [sshPort = 0, metricsPort = 0] = await findFreePorts(2);
    const settings = hasMetrics ? { METRICS_PORT: String(metricsPort) } : {};

    const stack = await fixture.start({ SSH_PORT: String(sshPort), ...settings });

    const ports = [...ownPorts(stack), sshPort, ...(hasMetrics ? [metricsPort] : [])];
    expect(listeners()).toEqual(onLoopback(ports));
  });

  it("listens for a job's Jupyter, which requires its token, until it is turned off", async ({ skip }) => {
    if (!canListProcesses) skip("this machine has no /proc to look for listeners in");
    const shown = mkdtempSync("/var/tmp/berth-listeners-");
    onTestFinished(() => rmSync(shown, { recursive: true }));
    chmodSync(shown, 0o755);
    const [sshPort = 0] = await findFreePorts(1);
    const isolation = canSandbox() ? "bubblewrap" : "none";
    const { PATH = "", ...variables } = jupyterStub({ shown, home: fixture.home, compute: { isolation } });
    const stack = await fixture.start({ SSH_PORT: String(sshPort), LOCAL_PATH: PATH });
    const { API_KEY: key = "" } = await stack.env();
    const client = jobClient(stack.url, key);
    const ports = [...ownPorts(stack), sshPort];
    const change = (id: string, verb: "enable" | "disable") =>
      callApi(stack.url, key, { method: "POST", path: `/v1/jobs/${id}/jupyter/${verb}` });
    const open = async (port: number | null, token: string) =>
      (await fetch(`http://127.0.0.1:${port}/lab?token=${token}`)).status;

    const id = await client.submit({ instance_type: "c7i.8xlarge", command: "sleep 3600", env_vars: variables });
    await client.until(id, ({ status }) => status === "active");
    const before = listeners();
    await change(id, "enable");
    const { jupyter_port, jupyter_token } = await client.until(id, (job) => job.jupyter_url !== null);
    const meanwhile = listeners();
    const answers = [
      await open(jupyter_port, ""),
      await open(jupyter_port, "x"),
      await open(jupyter_port, `${jupyter_token}`),
    ];
    await change(id, "disable");
    await client.until(id, (job) => job.jupyter_url === null);

    expect(before).toEqual(onLoopback(ports));
    expect(meanwhile).toEqual(onLoopback([...ports, Number(jupyter_port)]));
    expect(answers).toEqual([403, 403, 200]);
    await eventually(listeners, (found) => found.join() === before.join());
  });

  it("reports that it is healthy at every request while clients keep it busy", async () => {
    const stack = await fixture.start();
    const headers = { authorization: `Bearer ${(await stack.env()).API_KEY}` };
    const submit = (body: string): [string, AskOptions] => ["/v1/jobs/submit", { method: "POST", headers, body }];
    const manyKeys = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`key${n}`, n]));
    const input: [string, AskOptions][] = [
      submit(JSON.stringify({ image: "python", instance_type: "c7i.8xlarge" })),
      submit(JSON.stringify(manyKeys)),
      ["/v1/jobs?limit=500", { headers }],
      ["/health", {}],
      ["/ready", {}],
    ];
    const [clients, rounds] = [6, 4];
    const answers = new Map<string, number>();
    // Each request has its own connection, since a busy server may close one that is kept alive.
    const { port, host } = new URL(stack.url);
    const count = async (path: string, options: AskOptions) => {
      const { status } = await ask(Number(port), host, { path, ...options });
      answers.set(`${status} ${path}`, (answers.get(`${status} ${path}`) ?? 0) + 1);
    };

    await Promise.all(
      Array.from({ length: clients }, async () => {
        for (let round = 0; round < rounds; round += 1) await Promise.all(input.map((entry) => count(...entry)));
      }),
    );

    const each = clients * rounds;
    expect(Object.fromEntries(answers)).toEqual({
      "200 /health": each,
      "200 /ready": each,
      "200 /v1/jobs/submit": each,
      "400 /v1/jobs/submit": each,
      "200 /v1/jobs?limit=500": each,
    });
  });
});

/** Returns the ports of the stack's API and STS. */
function ownPorts(stack: StackProcess): number[] {
  const { stsUrl } = JSON.parse(readFileSync(join(fixture.home, "stack.json"), "utf8")) as { stsUrl: string };
  return [stack.url, stsUrl].map((url) => Number(new URL(url).port));
}

function onLoopback(ports: readonly number[]): string[] {
  return ports.map((port) => `tcp 0100007F:${port}`).sort();
}

/** Returns the listeners of the stack and its environments in the machine's network. */
function listeners(): string[] {
  const ownLink = getLink("/proc/self/ns/net");
  const pids = fixture.processes().map(({ pid }) => pid);
  return pids
    .filter((pid) => getLink(`/proc/${pid}/ns/net`) === ownLink)
    .flatMap(listListeners)
    .sort();
}

/** State of a listening socket in /proc/net/tcp. Every UDP socket listens (proc_pid_net(5)). */
const listening = { tcp: "0A", tcp6: "0A", udp: "07", udp6: "07" } as const;

/** Lists listeners such as `tcp 0100007F:8080`: 127.0.0.1 as a little-endian kernel writes it. */
function listListeners(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  const inodes = readdirSync(directory).flatMap(
    (fd) => /^socket:\[(\d+)\]$/.exec(getLink(`${directory}/${fd}`))?.[1] ?? [],
  );
  return Object.entries(listening).flatMap(([protocol, wanted]) => {
    const [, ...lines] = readFileSync(`/proc/${pid}/net/${protocol}`, "utf8").trim().split("\n");
    return lines.flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [address, port = ""] = local.split(":");
      return state === wanted && inodes.includes(inode) ? [`${protocol} ${address}:${Number.parseInt(port, 16)}`] : [];
    });
  });
}

/** Reads a link, which is empty if the descriptor was closed. */
function getLink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
