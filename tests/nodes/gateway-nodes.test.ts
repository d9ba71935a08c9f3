import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WebSocket } from "ws";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { jupyterUrl, openJupyter } from "#core/environments/record/changes/access.ts";
import { reservation } from "#core/environments/record/policy.ts";
import type { Run } from "#core/ports/compute.ts";
import { MINUTE_MS } from "#core/units.ts";
import { type AskOptions, ask, basic } from "#gateway/ingress/ingress-fixture.ts";
import { connectTerminal, type TerminalClient } from "#gateway/terminal/terminal-client-fixture.ts";
import type { KubeObject } from "../cluster/client.ts";
import { removed, seen } from "../cluster/cluster.ts";
import { type EchoSession, openEchoSession } from "../cluster/echo-session.ts";
import { must } from "../cluster/objects.ts";
import { leave } from "../conformance/web-terminal.ts";
import { type BrowserPage, chromium, openPage } from "../e2e/browser-fixture.ts";
import { system } from "./gateway-overlay.ts";
import { type GatewayCluster, type GatewayPod, gatewayPods, isReady, openGatewayCluster } from "./gateway-pods.ts";
import { containerdSocket } from "./node-config.ts";
import { findJupyter, type JupyterFiles, startJupyter } from "./pod-jupyter.ts";
import { podServers } from "./pod-servers.ts";

/**
 * Not shown here: that NetworkPolicies are enforced, which the network of these nodes does not do, and how a load
 * balancer notices that a pod ends. Clients enter by node ports, each of which leads to the gateway of its node.
 */
let gateways: GatewayCluster;
beforeAll(async () => {
  gateways = await openGatewayCluster();
  await gateways.startJob("job", 8888);
});
// A start that fails leaves nothing.
afterAll(() => (gateways as GatewayCluster | undefined)?.stop());

const ssh = (pod: GatewayPod, command: string) =>
  gateways.client.run("ssh", [...gateways.sshWords(pod, "job"), command]);
const openSession = (pod: GatewayPod) => openEchoSession(gateways.sshWords(pod, "job"));
const sayAll = (sessions: readonly EchoSession[]) => Promise.all(sessions.map(({ say }) => say("still here\n")));
const closeAll = async (sessions: readonly EchoSession[]) => {
  for (const { close } of sessions) close();
  return Promise.all(sessions.map(({ ended }) => ended));
};

/** Returns the pod on each of the two nodes, once both are ready. */
async function bothReady(): Promise<[GatewayPod, GatewayPod]> {
  await expect.poll(gateways.listReady).toHaveLength(2);
  const [one, two] = await gateways.listReady();
  if (!one || !two) throw new Error("A gateway is not ready any more");
  return [one, two];
}

/** Runs containerd's client for the container of a pod. */
function ctr(pod: GatewayPod, ...words: readonly string[]): Promise<string> {
  const place = ["--address", containerdSocket, "--namespace", "k8s.io"];
  return gateways.getNode(pod).machine.run("ctr", [...place, ...words]);
}

const getContainer = ({ status }: GatewayPod) =>
  status.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";

it("a user of OpenSSH enters a pod through the gateway of either node, which show one host key", async () => {
  const pods = await bothReady();
  const logs = await Promise.all(pods.map(gateways.followLog));

  const ends = await Promise.all(pods.map((pod) => ssh(pod, "echo inside; exit 3")));

  // The pod of the job connects to both, one of which is on another node.
  await Promise.all(logs.map((log) => log.logged("tunnel opened")));
  expect(pods.map(({ spec }) => spec.nodeName)).toEqual(["one", "two"]);
  expect(ends).toEqual(Array(2).fill({ code: 3, stdout: "inside\n", stderr: "" }));
});

it("its container has no root, and nothing to write to", async () => {
  const [pod] = await bothReady();
  const program = `
    const { writeFileSync } = require("node:fs");
    const tryWrite = (folder) => { try { writeFileSync(folder + "/x", ""); return "written"; } catch ({ code }) { return code; } };
    console.log(JSON.stringify([process.getuid(), process.getgid(), ...["", "/gateway", "/host-key"].map(tryWrite)]));
  `;

  const said = await ctr(pod, "task", "exec", "--exec-id", "look", getContainer(pod), "/usr/bin/node", "-e", program);

  const [uid, gid, ...writes] = JSON.parse(said) as unknown[];
  expect([uid, gid]).toEqual([65534, 65534]);
  expect(writes).toEqual(["EROFS", "EROFS", "EROFS"]);
});

it("a page and a WebSocket of a pod open at its label, by the gateway of either node, for a key of its owner", async () => {
  const ports = [{ port: 8080, kind: "http" as const }];
  await gateways.startJob("page", 8080, { command: podServers, ports });
  const places = (await bothReady()).map((pod) => gateways.getPlace(pod, "https"));
  const [place] = places;
  const headers = { authorization: `Bearer ${gateways.key}` };
  const get = (more: AskOptions) =>
    Promise.all(
      places.map(({ host, port }) => ask(port, "page.preview.test", { address: host, path: "/256", ...more })),
    );

  const [answers, refusals] = [await get({ headers }), await get({})];
  const socket = new WebSocket(`ws://${place?.host}:${place?.port}/`, {
    headers: { host: "page.preview.test", ...headers },
  });
  await once(socket, "open");
  socket.send("said");
  const [echo] = await once(socket, "message");
  socket.close();
  const [code] = await once(socket, "close");

  expect(answers.map(({ status, body }) => [status, body.length])).toEqual(Array(2).fill([200, 256]));
  expect(refusals.map(({ status }) => status)).toEqual([401, 401]);
  expect([String(echo), code]).toEqual(["said", 1005]);
});

/** Opens JupyterLab in Chromium, and returns what a cell prints. */
type OpenLab = (pod: GatewayPod, found: JupyterFiles) => Promise<{ readonly job: string; readonly lab: OpenedLab }>;

interface OpenedLab {
  readonly page: BrowserPage;
  readonly jupyter: ChildProcess;
}

const openLabWithKey: OpenLab = async (pod, found) => {
  const { host, port } = gateways.getPlace(pod, "https");
  const jupyter = await startJupyter(gateways.sshWords(pod, "job"), { port: 8888, token: "" }, found);
  const site = "job.preview.test";
  const headers = { authorization: basic(gateways.key) };
  await expect.poll(async () => (await ask(port, site, { address: host, path: "/api", headers })).status).toBe(200);
  // From here on the browser has the key. An address that names it breaks the page's own requests.
  const page = await openPage(`http://me:${gateways.key}@${site}/api`, `MAP ${site} ${host}:${port}`);
  await page.until("document.body?.innerText.includes('version') === true");
  await page.evaluate(`location.assign("http://${site}/lab")`);
  return { job: "job", lab: { page, jupyter } };
};

const openShownLab: OpenLab = async (pod, found) => {
  const { host, port } = gateways.getPlace(pod, "https");
  const { world, startJob, sshWords } = gateways;
  await startJob("notebook", 1, {}, { jupyter: true, addressLabel: undefined, ports: [] });
  const { origin = null, token = null } = (await openJupyter(world.ctx, await world.read("alice", "notebook"))) ?? {};
  const url = new URL(jupyterUrl({ origin, token }) ?? "");
  const jupyter = await startJupyter(sshWords(pod, "notebook"), { port: 40_123, token: token ?? "" }, found);
  await expect.poll(async () => (await ask(port, url.host, { address: host, path: "/api" })).status).toBe(200);
  const page = await openPage(url.href, `MAP ${url.host} ${host}:${port}`);
  return { job: "notebook", lab: { page, jupyter } };
};

it.for([
  ["with the key of its owner", openLabWithKey],
  ["by its jupyter_url", openShownLab],
] as const)(
  "JupyterLab of a pod opens %s in Chromium, through the gateway, and runs a cell",
  async ([, open], { skip }) => {
    const found = await findJupyter();
    if (!found) return skip("python3 is not Python 3.11 with JupyterLab");
    skip(chromium === undefined, "there is no Chromium on this machine");
    const [pod] = await bothReady();
    const {
      job,
      lab: { page, jupyter },
    } = await open(pod, found);

    try {
      await page.until("globalThis.jupyterapp !== undefined");
      await page.evaluate(`(async () => {
      await jupyterapp.restored;
      const { content, context } = await jupyterapp.commands.execute("notebook:create-new", { kernelName: "python3" });
      await context.sessionContext.ready;
      content.activeCell.model.sharedModel.setSource("print(6 * 7, open('/etc/hostname').read())");
      await jupyterapp.commands.execute("notebook:run-all-cells");
    })()`);
      const output = 'document.querySelector(".jp-OutputArea-output pre")?.textContent';
      await page.until(`Boolean(${output})`);

      const { stdout } = await gateways.client.run("ssh", [...gateways.sshWords(pod, job), "cat /etc/hostname"]);
      expect(await page.evaluate(output)).toBe(`42 ${stdout}\n`);
    } finally {
      await page.close();
      jupyter.kill();
      await once(jupyter, "exit");
    }
  },
);

it("of ten sessions, a killed gateway ends its own five, and new ones succeed at once", async () => {
  const [killed, kept] = await bothReady();
  const open = (pod: GatewayPod) => Promise.all(Array.from({ length: 5 }, () => openSession(pod)));
  const [lost, others] = await Promise.all([open(killed), open(kept)]);

  await ctr(killed, "task", "kill", "--signal", "SIGKILL", getContainer(killed));
  const entered = await ssh(kept, "echo at once");
  const ends = await Promise.all(lost.map(({ ended }) => ended));
  const answers = await sayAll(others);

  expect(entered).toEqual({ code: 0, stdout: "at once\n", stderr: "" });
  expect(ends).toEqual(Array(5).fill([255, null]));
  expect(answers).toEqual(Array(5).fill("still here\n"));
  const isBack = (pod: GatewayPod) => pod.status.containerStatuses?.[0]?.restartCount === 1 && isReady(pod);
  await seen<GatewayPod>(gateways.fixture.cluster.admin, gatewayPods, isBack);
  await expect.poll(() => ssh(killed, "echo back")).toMatchObject({ stdout: "back\n" });
  expect(await sayAll(others)).toEqual(answers);
  expect(await closeAll(others)).toEqual(Array(5).fill([0, null]));
});

it("a deleted pod drains: its session goes on for two minutes, new ones enter the pod in its place, and then it ends", async () => {
  const { admin } = gateways.fixture.cluster;
  const [old, other] = await bothReady();
  const [session, log] = await Promise.all([openSession(old), gateways.followLog(old)]);

  must(await admin.remove(`${gatewayPods}/${old.metadata.name}`));
  const isNew = (pod: GatewayPod) => ![old, other].some(({ metadata }) => metadata.uid === pod.metadata.uid);
  const next = await seen<GatewayPod>(admin, gatewayPods, (pod) => isNew(pod) && isReady(pod));
  await log.logged("gateway draining");
  await seen<EndpointSlice>(admin, slices, ({ endpoints }) => {
    return !endpoints.some(({ targetRef, conditions }) => targetRef.uid === old.metadata.uid && conditions.serving);
  });
  const answer = await session.say("still here\n");
  const nextLog = await gateways.followLog(next);
  await expect.poll(() => ssh(next, "echo inside")).toMatchObject({ stdout: "inside\n" });
  await nextLog.logged("ssh login");
  // Longer than any time of Kubernetes and of the gateway that may cut it, but DRAIN_SECONDS.
  await sleep(2 * MINUTE_MS);
  const lastAnswer = await session.say("until the end\n");
  const whileOpen = must(await admin.get<GatewayPod>(`${gatewayPods}/${old.metadata.name}`));
  session.close();

  expect([answer, lastAnswer]).toEqual(["still here\n", "until the end\n"]);
  expect(whileOpen.metadata.uid).toBe(old.metadata.uid);
  expect(await session.ended).toEqual([0, null]);
  expect(await log.logged("gateway ended")).toMatchObject({ isDrained: true });
  await removed(admin, `${gatewayPods}/${old.metadata.name}`);
});

it("a session, a web terminal and a request of a page reach the record, and only then auto-stop waits", async () => {
  const [pod] = await bothReady();
  const idle = { afterMs: 5 * MINUTE_MS, everyMs: MINUTE_MS };
  const more = { policy: { ...reservation, time: "none", restarts: true, idle } } as const;
  const served = { command: podServers, ports: [{ port: 8080, kind: "http" as const }] };
  const names = ["unused", "by-ssh", "by-terminal", "by-page"];
  const runs = new Map<string, Run>();
  for (const name of names) runs.set(name, await gateways.startJob(name, 8080, served, more));
  const count = async (name: string) => gateways.fixture.compute.countWork(runs.get(name)?.uid ?? "", 1);
  const countAll = () => Promise.all(names.map(count));
  const headers = { authorization: `Bearer ${gateways.key}` };
  const { host, port } = gateways.getPlace(pod, "https");

  const session = await openEchoSession(gateways.sshWords(pod, "by-ssh"));
  const terminal = await openTerminal(pod, "by-terminal");
  const page = await ask(port, "by-page.preview.test", { address: host, path: "/256", headers });
  await expect.poll(countAll).toEqual([0, 1, 1, 1]);
  await gateways.world.advance(12 * MINUTE_MS);
  const used = await Promise.all(names.map((name) => gateways.world.read("alice", name)));
  session.close();
  await leave(terminal);
  await expect.poll(countAll).toEqual([0, 0, 0, 1]);
  await gateways.world.advance(12 * MINUTE_MS);
  const left = await Promise.all(names.map((name) => gateways.world.read("alice", name)));

  expect(page.status).toBe(200);
  expect(used.map(({ phase, use }) => [phase, use.idle?.signal])).toEqual([
    ["stopped", "start"],
    ...Array(3).fill(["active", "sessions"]),
  ]);
  expect(left.map(({ phase }) => phase)).toEqual(["stopped", "stopped", "stopped", "active"]);
});

async function openTerminal(pod: GatewayPod, job: string): Promise<TerminalClient> {
  const { world, key } = gateways;
  const user = world.as("alice");
  const caller = { ...user, actor: { ...user.actor, keyHash: world.ctx.ids.hash(key) } };
  const request = { terminal: undefined, origin: null };
  const { ticket, label, terminal } = await issueTerminalTicket(caller, job, request, ({ phase }) => phase);
  const { host, port } = gateways.getPlace(pod, "https");
  const url = `ws://${label}.preview.test:${port}/.berth/terminal`;
  const client = await connectTerminal({ url, ticket, terminal_id: terminal }, { address: host });
  await client.until(({ messages }) => messages.some(({ type }) => type === "opened"));
  return client;
}

const slices = `/apis/discovery.k8s.io/v1/namespaces/${system}/endpointslices`;

interface EndpointSlice extends KubeObject {
  readonly endpoints: readonly {
    readonly targetRef: { readonly uid: string };
    readonly conditions: { readonly serving?: boolean };
  }[];
}
