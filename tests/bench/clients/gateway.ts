import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Client } from "ssh2";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { buildTools } from "../../../scripts/images/tools-programs.ts";
import { type GatewayFixture, openGatewayFixture, withTunnels } from "../../cluster/gateway-fixture.ts";
import { startPage } from "../../cluster/gateway-page.ts";
import type { GatewayProcess } from "../../cluster/gateway-process.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { enter, type SshTarget } from "./ssh.ts";
import { compared, measure, withSshd } from "./sshd.ts";

const IDLE = 1_000;
/** An environment has at most 128 sessions. */
const ENVIRONMENTS = 8;
const REQUESTS = 200;

/**
 * The gateway's program in front of a pod on a real control plane, and OpenSSH's server, measured one after the other.
 * The pod is a process of this machine, which connects to the gateway.
 */
export const gateway: Measure = {
  name: "gateway",
  async run() {
    const fixture = await openGatewayFixture({ tools: await buildTools(process.env) });
    try {
      const program = await fixture.startGateway(withTunnels);
      const target = { port: program.sshPort, username: fixture.login, key: fixture.userKey };
      const ours = await measure(target);
      const theirs = await withSshd(measure);
      return [
        ...ours.flatMap((row, n) => compared(row, theirs[n]?.value ?? Number.NaN, "gateway")),
        await pageLatency(fixture, program),
        await idleSessions(fixture),
      ];
    } finally {
      await fixture.stop();
    }
  },
};

/** A new program, because bytes of earlier sessions would leave it memory for the idle ones. */
async function idleSessions(fixture: GatewayFixture): Promise<Row> {
  const { child, sshPort: port } = await fixture.startGateway(withTunnels);
  const logins = [fixture.login, ...Array.from({ length: ENVIRONMENTS - 1 }, (_, n) => `gpu-dev-idle${n}`)];
  for (const login of logins.slice(1)) await fixture.begin(login);
  const clients: Client[] = [];
  const open = async (until: number): Promise<void> => {
    while (clients.length < until) {
      const username = logins[clients.length % logins.length] ?? fixture.login;
      clients.push(await openIdle({ port, username, key: fixture.userKey }));
    }
  };
  // The first sessions load code.
  await open(logins.length);
  const before = readKilobytes(child.pid);
  await open(IDLE);
  const value = (readKilobytes(child.pid) - before) / (IDLE - ENVIRONMENTS);
  for (const client of clients) client.destroy();
  return {
    name: "gateway: memory of an idle session",
    value,
    unit: "kB",
    note: `growth of resident memory by ${IDLE} in ${ENVIRONMENTS} environments`,
  };
}

async function openIdle(target: SshTarget): Promise<Client> {
  const client = await enter(target);
  await new Promise<void>((resolve, reject) => {
    client.exec("echo ready; exec cat", (error, channel) => {
      if (error) reject(error);
      else channel.once("data", () => resolve());
    });
  });
  return client;
}

function readKilobytes(pid: number | undefined): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

/** A page of a few bytes, directly and through the gateway. */
async function pageLatency(fixture: GatewayFixture, { webPort }: GatewayProcess): Promise<Row> {
  const page = createServer((_, response) => response.end("the page")).listen(0, "127.0.0.1");
  await once(page, "listening");
  const { port } = page.address() as AddressInfo;
  const { host, headers } = await startPage(fixture, port);
  const direct = await latency(port, "127.0.0.1", {});
  const value = await latency(webPort, host, headers);
  page.close();
  const note = `p50 of ${REQUESTS}; directly: ${direct.toFixed(2)} ms; difference ${(value - direct).toFixed(2)} ms`;
  return { name: "gateway: a page", value, unit: "ms", note };
}

async function latency(port: number, host: string, headers: Readonly<Record<string, string>>): Promise<number> {
  const durations: number[] = [];
  for (let n = 0; n < REQUESTS; n += 1) {
    const begun = performance.now();
    const { status } = await ask(port, host, { headers });
    if (status !== 200) throw new Error(`The page answered ${status}`);
    durations.push(performance.now() - begun);
  }
  return median(durations);
}
