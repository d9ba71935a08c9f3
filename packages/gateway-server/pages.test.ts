import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import type { PagePlace } from "#gateway/ingress/page-connection.ts";
import type { SshDirectory } from "#gateway/ports/directory.ts";
import type { Reach } from "#gateway/ports/reach.ts";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { type HttpWorld, httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";
import { type Gateway, startGateway } from "./gateway.ts";

let world: HttpWorld;
let gateway: Gateway;
/** Places that the gateway connected to, in place of ports of pods. */
const places: PagePlace[] = [];
const requests: string[] = [];
const inside = createServer((incoming, outgoing) => {
  requests.push(describeRequest(incoming));
  outgoing.end("inside");
});

beforeEach(async () => {
  places.length = 0;
  requests.length = 0;
  const settings = { domain: "berth.dev", scheme: "https", userAccess: "gateway" } as const;
  const nodes = newNodes({ h100: 2, "cpu-shared": 2 });
  world = await httpWorld({ settings, nodes, access: { sshPort: null } });
  await once(inside.listen(0, "127.0.0.1"), "listening");
  const { table, clock, ids, log } = world.ctx;
  const deployment = { version: "1", startedAt: 0, isolation: "memory", limits: "memory" };
  gateway = await startGateway({
    runtime: { ports: { table }, clock, ids, log, settings: world.ctx.settings, deployment },
    directory: {} as SshDirectory,
    reach: {} as Reach,
    connect: (place) => {
      places.push(place);
      return connect((inside.address() as AddressInfo).port, "127.0.0.1");
    },
    hostKey: newSshKey().private,
    sshPort: 0,
    webPort: 0,
    isAllowed: () => true,
  });
});

afterEach(async () => {
  await gateway.stop();
  await new Promise((resolve) => inside.close(resolve));
});

it("leads the shown address of a job's Jupyter to its port, and lets Jupyter ask for its token", async () => {
  const key = await world.login();
  const url = new URL((await startJob(key)).jupyter_url);

  const answer = await ask(gateway.webPort, url.host, { path: `${url.pathname}${url.search}` });
  const withToken = await ask(gateway.webPort, url.host, { headers: { authorization: "token abc" } });

  expect([url.protocol, url.host]).toEqual(["https:", expect.stringMatching(/^jupyter-[0-9a-f]{20}\.berth\.dev$/)]);
  expect([answer.status, answer.body, withToken.status]).toEqual([200, "inside", 200]);
  expect(requests).toEqual([`${url.host}${url.pathname}${url.search} `, `${url.host}/ token abc`]);
  const place = { run: expect.stringMatching(/-r1$/), port: 40123, address: "127.0.0.1:40123", isJupyter: true };
  expect(places).toEqual([place, place]);
});

it("leads the address of a page to its port", async () => {
  const key = await world.login();
  const answer = await world.request("POST", "/session/create", { key, body: { user_id: "user@example.com" } });
  await world.deliver();
  const { workspace_url: address } = (await answer.json()) as { readonly workspace_url: string };

  const { status } = await ask(gateway.webPort, new URL(address).host, { headers: { "x-api-key": key } });

  expect([status, requests.length]).toEqual([200, 1]);
  expect(places).toMatchObject([{ port: 8080 }]);
  expect(places[0]).not.toHaveProperty("isJupyter");
});

it("keeps the label of a Jupyter that is enabled again, and frees it with the job", async () => {
  const key = await world.login();
  const job = await startJob(key);
  const { host } = new URL(job.jupyter_url);
  const get = async () => {
    // The gateway admits by what it has read in the last 5 s.
    world.clock.advance(5_001);
    return (await ask(gateway.webPort, host, {})).status;
  };
  const change = async (method: string, path: string) => {
    await world.request(method, `/v1/jobs/${job.job_id}${path}`, { key });
    await world.deliver();
  };
  const statuses = [await get()];

  await change("POST", "/jupyter/disable");
  statuses.push(await get());
  await change("POST", "/jupyter/enable");
  statuses.push(await get());
  const again = await show(key, job.job_id);
  await change("POST", "/cancel");
  statuses.push(await get());

  expect(new URL(again.jupyter_url).host).toBe(host);
  expect(again.jupyter_url).not.toBe(job.jupyter_url);
  expect(statuses).toEqual([200, 503, 200, 401]);
  expect(await world.table.get({ pk: `host#${host.split(".")[0]}`, sk: "-" })).toBeUndefined();
});

interface ShownJob {
  readonly job_id: string;
  readonly jupyter_url: string;
}

async function startJob(key: string): Promise<ShownJob> {
  const body = { image: "busybox", instance_type: "p5.48xlarge", jupyter_enabled: true };
  const answer = await world.request("POST", "/v1/jobs/submit", { key, body });
  await world.deliver();
  return show(key, ((await answer.json()) as ShownJob).job_id);
}

async function show(key: string, id: string): Promise<ShownJob> {
  return (await world.request("GET", `/v1/jobs/${id}`, { key })).json() as Promise<ShownJob>;
}

function describeRequest({ headers, url }: IncomingMessage): string {
  return `${headers.host}${url} ${headers.authorization ?? ""}`;
}
