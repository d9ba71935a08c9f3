import type { IncomingMessage } from "node:http";
import type { Item, Table } from "#core/ports/table.ts";
import { ticketKey } from "#core/store/keys.ts";
import { tableDirectory } from "#gateway/directory/table-directory.ts";
import { ingressAccess } from "#gateway/ingress/ingress-access.ts";
import { NoTerminal } from "#gateway/ports/reach.ts";
import { connectTerminal, type TicketReply } from "#gateway/terminal/terminal-client-fixture.ts";
import { startWeb } from "#gateway-server/web-server.ts";
import type { Runtime } from "#http/runtime.ts";
import { memoryTable } from "../fakes/memory-table.ts";
import { recordingLog } from "../fixtures/log.ts";
import { developer, type HttpWorld, httpWorld } from "../worlds/http-world.ts";
import { newNodes } from "../worlds/memory-world.ts";
import type { Failure } from "./take-away.ts";

const sshKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGfsCoS5UjAy7HiBBGNyDsGJMwkDBCcPVNGtvJnbjDTi";

export interface GatewayScene {
  readonly world: HttpWorld;
  readonly items: readonly Item[];
  readonly key: string;
  readonly job: string;
  readonly login: string;
  readonly host: string;
}

/** The table as the gateway may use it, and as the API uses it. */
export interface SceneTables {
  readonly table: Table;
  readonly api: Table;
}

/** Opens a memory world with an active job that a key enters, and a running session with a page. */
export async function openGatewayScene(): Promise<GatewayScene> {
  const table = memoryTable({ sharesItems: "frozen" });
  const settings = { sshGateway: { host: "ssh.berth.dev", port: 22 }, domain: "berth.dev" };
  const world = await httpWorld({ nodes: newNodes({ h100: 1, "cpu-shared": 1 }), settings, table });
  const key = await world.login(developer);
  const body = { image: "busybox", instance_type: "p5.48xlarge", ssh_public_keys: [sshKey] };
  const submitted = await world.request("POST", "/v1/jobs/submit", { key, body });
  const { job_id: job } = (await submitted.json()) as { job_id: string };
  await world.request("POST", "/session/create", { key, body: { user_id: "user@example.com" } });
  await world.advance(60_000);
  const items = table.all();
  const login = findPartition(items, "ssh-login#");
  return { world, items, key, job, login, host: `${findPartition(items, "host#")}.berth.dev` };
}

function findPartition(items: readonly Item[], prefix: string): string {
  const found = items.find(({ pk }) => pk.startsWith(prefix));
  if (!found) throw new Error(`The world has no item of ${prefix}`);
  return found.pk.slice(prefix.length);
}

/** Finds a login and a page and opens a web terminal, until one of them fails. */
export async function findFailure(scene: GatewayScene, tables: SceneTables): Promise<Failure | undefined> {
  const login = await findLogin(scene, tables);
  if (login !== undefined) return { case: "the keys of an SSH login", fails: login };
  const page = await findPage(scene, tables);
  if (page !== undefined) return { case: "the page of an environment", fails: page };
  const terminal = await openTerminal(scene, tables);
  return terminal === undefined ? undefined : { case: "a web terminal", fails: terminal };
}

async function findLogin({ world, login }: GatewayScene, { table }: SceneTables): Promise<string | undefined> {
  try {
    const [run] = await tableDirectory({ ...world.ctx, table }).find(login);
    return run?.keys.includes(sshKey) ? undefined : "admits no key";
  } catch {
    return "threw";
  }
}

async function findPage(scene: GatewayScene, { table }: SceneTables): Promise<string | undefined> {
  const { host, key } = scene;
  const incoming = { headers: { host, authorization: `Bearer ${key}` }, url: "/" } as IncomingMessage;
  const { admit } = ingressAccess(createRuntime(scene, table), true);
  const answer = await admit(incoming, { label: host.slice(0, -".berth.dev".length), host });
  return "place" in answer ? undefined : `answered ${answer.status}`;
}

/** Opens a terminal with a new ticket. The environment has none, which only an admitted client reads. */
async function openTerminal(scene: GatewayScene, { table, api }: SceneTables): Promise<string | undefined> {
  const { world, key, job } = scene;
  const answer = await world.request("POST", `/v1/jobs/${job}/terminal`, { key, body: {} });
  const reply = (await answer.json()) as TicketReply;
  const ticket = await world.table.get(ticketKey(world.ctx.ids.hash(reply.ticket)));
  if (!ticket) throw new Error(`No ticket was issued: ${answer.status}`);
  if (api !== world.table) await api.put(ticket);
  const web = await startWeb({
    runtime: createRuntime(scene, table),
    connect: () => Promise.reject(new Error("No page is opened here")),
    reach: { openTerminal: () => Promise.reject(new NoTerminal("gone")) },
    port: 0,
    isAllowed: () => true,
    isReady: () => true,
  });
  try {
    const { hostname, pathname } = new URL(reply.url);
    const client = await connectTerminal({ ...reply, url: `ws://${hostname}:${web.port}${pathname}` });
    const [code] = await client.closed;
    return code === 4404 ? undefined : `closed with ${code}`;
  } finally {
    await web.stop();
  }
}

/** The runtime of a gateway, which notes no use of keys. */
function createRuntime({ world }: GatewayScene, table: Table): Runtime<"table"> {
  const { clock, ids, settings } = world.ctx;
  const deployment = { version: "1.0.0", startedAt: 0, isolation: "pod", limits: "pod" };
  return { ports: { table }, clock, ids, settings, log: recordingLog(), deployment, readsKeysOnly: true };
}
