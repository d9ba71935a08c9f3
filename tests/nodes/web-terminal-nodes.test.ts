import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Run } from "#core/ports/compute.ts";
import { HOUR_MS, MINUTE_MS } from "#core/units.ts";
import { newKey } from "#gateway/ingress/ingress-fixture.ts";
import { podReach } from "#gateway/pods/pod-reach.ts";
import { connectTerminal } from "#gateway/terminal/terminal-client-fixture.ts";
import { tunnelEntry } from "#gateway/tunnels/tunnel-entry.ts";
import type { TunnelServer } from "#gateway/tunnels/tunnel-server.ts";
import { startWeb, type WebServer } from "#gateway-server/web-server.ts";
import { version } from "#http/version.ts";
import { type RunEntry, runEntry } from "#kubernetes/access/run-entry.ts";
import { parseRunName } from "#kubernetes/names.ts";
import { buildToolsImage, toolsImage } from "../../scripts/images/tools-image.ts";
import { leave, openTerminal, shows, type TerminalJobs, webTerminalConformance } from "../conformance/web-terminal.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "../worlds/memory-world.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { serveTunnels } from "./serve-tunnels.ts";

let fixture: DriverFixture;
let world: MemoryWorld;
let keyHash: string;
let gateways: WebServer[];
let tunnels: TunnelServer;
/** By the name of their job. */
const runs = new Map<string, Run>();

beforeAll(async () => {
  const { archive } = await buildToolsImage(process.env);
  const nodes = [{ name: "one", instanceType: "p5.48xlarge" }];
  fixture = await openDriverFixture({ nodes, archives: [archive], toolsImage });
  world = await memoryWorld({ nodes: newNodes({ h100: 8 }), settings: { domain: "preview.test", scheme: "http" } });
  keyHash = world.ctx.ids.hash(await newKey(world, "alice", { expiresAt: world.clock.now() + 9 * HOUR_MS }));
  const byApiServer = runEntry(fixture.computeOptions);
  const { address, ...served } = await serveTunnels(
    fixture.getNode("one"),
    new URL(fixture.cluster.admin.access.url).hostname,
  );
  tunnels = served;
  const byTunnel = tunnelEntry(byApiServer, { invite: tunnels.invite, address, log: world.ctx.log });
  gateways = [await startGateway(byApiServer), await startGateway(byTunnel)];
});

// A start that fails leaves none of them.
afterAll(async () => {
  for (const gateway of gateways ?? []) await gateway.stop();
  (tunnels as TunnelServer | undefined)?.server.close();
  await (fixture as DriverFixture | undefined)?.stop();
});

/** One gateway enters pods by the API server, and the other by a tunnel. The table is all that they share. */
function startGateway(runs: RunEntry): Promise<WebServer> {
  const { clock, ids, log, settings, table } = world.ctx;
  const deployment = { version, startedAt: clock.now(), isolation: "pods", limits: "pods" };
  const runtime = { ports: { table }, clock, ids, log, settings, deployment };
  const reach = podReach(runs, (name) => ({ id: parseRunName(name), sessions: new Set() }));
  const connect = () => Promise.reject(new Error("There are no pages here"));
  return startWeb({ runtime, connect, reach, port: 0, isAllowed: () => true, isReady: () => true });
}

/** Starts the record of a job and its pod. */
async function start(options?: Parameters<DriverFixture["applied"]>[1]): Promise<string> {
  const name = `job-${runs.size + 1}`;
  const input = { ...newEnvironment(name, { gpus: 1 }), addressLabel: name };
  const { uid } = await createEnvironment(world.as("alice"), input);
  await world.deliver();
  const run = await fixture.applied({ uid }, options);
  runs.set(name, run);
  await fixture.until(run, (seen) => seen?.state === "ready");
  return name;
}

function getRun(job: string): Run {
  const run = runs.get(job);
  if (!run) throw new Error(`There is no job ${job}`);
  return run;
}
const removePod = (job: string) => fixture.compute.remove(getRun(job).uid, 1, { graceSeconds: 0, force: false });

const jobs = {
  start: () => start(),
  startExpiring: async () => {
    const job = await start();
    await world.advance(31 * MINUTE_MS);
    return job;
  },
  extend: async (job) => {
    await requestExtension(world.as("alice"), job, HOUR_MS);
    await world.advance(10_000);
  },
  end: async (job) => {
    await requestCancel(world.as("alice"), job);
    await removePod(job);
  },
  // Each ticket leads to the other gateway than the one before.
  getTicket: async (job, wanted) => {
    const ctx = world.as("alice");
    const request = { terminal: wanted, origin: null };
    const own = { ...ctx, actor: { ...ctx.actor, keyHash } };
    const { ticket, label, terminal } = await issueTerminalTicket(own, job, request, ({ phase }) => phase);
    const [next] = gateways.reverse();
    return { url: `ws://${label}.preview.test:${next?.port}/.berth/terminal`, ticket, terminal_id: terminal };
  },
} satisfies TerminalJobs;

describe("a web terminal of a pod, through two gateways", () => {
  webTerminalConformance(jobs);
});

describe("a web terminal of a pod", () => {
  it("has the shell of an SSH session, prints on without its client, who returns through the other gateway", async () => {
    const job = await start();
    const { id, reply, client } = await openTerminal(jobs, job);
    client.type("stty -echo; echo $0 $HOME $PWD $USER; (sleep 1; echo la''ter) & echo be''gun\n");
    await client.until(shows("begun"));
    client.ws.terminate();
    const had = client.offset();
    const { reply: other, client: next } = await openTerminal(jobs, job, { terminal_id: id, offset: had });
    await next.until(shows("later"));
    await leave(next);

    expect(client.output()).toContain("bash /root /root root\r\n");
    expect(new URL(other.url).port).not.toBe(new URL(reply.url).port);
    expect(next.messages[0]).toMatchObject({ type: "opened", offset: had, terminal_id: id });
    expect((client.output() + next.output()).match(/begun\r\n|later\r\n/g)).toEqual(["begun\r\n", "later\r\n"]);
    const isOver = "while grep -qs '^/.berth/holder' /proc/[0-9]*/cmdline; do sleep 0.1; done";
    expect(await fixture.exec(getRun(job), ["sh", "-c", isOver])).toMatchObject({ state: "ended", exitCode: 0 });
  });

  it("ends its connection with the pod, and is unsupported without the holder", async () => {
    const [ended, bare] = [await start(), await start({ toolsImage: undefined })];
    const { client } = await openTerminal(jobs, ended);
    await removePod(ended);
    const refused = await connectTerminal(await jobs.getTicket(bare, undefined));

    expect(await refused.closed).toEqual([4501, "This environment has no terminals"]);
    expect((await client.closed)[0]).toBe(4503);
    expect(client.messages.map(({ type }) => type)).not.toContain("exit");
  });
});
