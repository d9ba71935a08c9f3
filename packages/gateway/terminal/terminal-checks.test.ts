import { duplexPair } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { requestCancel } from "#core/environments/verbs/actions.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { offsetBytes, terminalFrame } from "#relay/terminal-frames.ts";
import { type IngressFixture, openIngressFixture } from "../ingress/ingress-fixture.ts";
import { connectTerminal, type TerminalClient, type TicketReply } from "./terminal-client-fixture.ts";

const LABELS = ["one", "two"];
let fixture: IngressFixture;
let isAway: boolean;

/** Opens terminals that say nothing but hello, and checks them as often as the machine can. */
beforeEach(async () => {
  const openTerminal = async () => {
    const [ofGateway, environment] = duplexPair();
    environment.resume().write(terminalFrame("hello", offsetBytes(0)));
    return ofGateway;
  };
  isAway = false;
  fixture = await openIngressFixture({ checkMs: 1 }, undefined, { openTerminal }, (table) => ({
    ...table,
    get: (key) => (isAway ? Promise.reject(new Error("away")) : table.get(key)),
  }));
  for (const label of LABELS) await fixture.environment(label);
});
afterEach(() => fixture.close());

async function issue(label: string): Promise<TicketReply> {
  const { ids } = fixture.world.ctx;
  const user = fixture.world.as("alice");
  const caller = { ...user, actor: { ...user.actor, keyHash: ids.hash(fixture.key) } };
  const request = { terminal: undefined, origin: null };
  const { ticket, terminal } = await issueTerminalTicket(caller, label, request, ({ phase }) => phase);
  const url = `ws://${label}.preview.localhost:${fixture.port}/.berth/terminal`;
  return { url, ticket, terminal_id: terminal };
}

async function open(label: string): Promise<TerminalClient> {
  const client = await connectTerminal(await issue(label));
  await client.until(({ messages }) => messages.some(({ type }) => type === "opened"));
  return client;
}

/** Opens 10 terminals of each environment with one key. */
async function openMany() {
  const clients = [];
  for (let n = 0; n < 10; n += 1) for (const label of LABELS) clients.push({ label, client: await open(label) });
  return clients;
}

const closings = (clients: readonly { readonly client: TerminalClient }[]) =>
  Promise.all(clients.map(async ({ client }) => (await client.closed)[0]));

test("20 terminals with one key cost one read of the key in five seconds, and their end one more", async () => {
  const clients = await openMany();
  const opening = fixture.reads.splice(0);
  fixture.world.clock.advance(6_000);
  const item = await fixture.world.table.get(apiKeyKey(fixture.world.ctx.ids.hash(fixture.key)));
  await fixture.world.table.put({ ...item, revokedAt: fixture.world.clock.now() } as never);

  expect(await closings(clients)).toEqual(Array(20).fill(4401));
  // Their tickets, the key, and two environments, because the clock stands still.
  expect(opening.filter((call) => call === "table.get")).toHaveLength(20 + 1 + 2);
  expect(fixture.reads).toEqual(["table.get"]);
});

test("terminals of an ended environment are closed after one read of it, and others stay open", async () => {
  const clients = await openMany();
  const [ended, others] = LABELS.map((label) => clients.filter((each) => each.label === label));
  await requestCancel(fixture.world.as("alice"), "one");
  fixture.reads.length = 0;
  fixture.world.clock.advance(6_000);

  expect(await closings(ended ?? [])).toEqual(Array(10).fill(4410));
  expect(others?.map(({ client }) => client.ws.readyState)).toEqual(Array(10).fill(WebSocket.OPEN));
  // The key and both environments.
  expect(fixture.reads).toEqual(Array(3).fill("table.get"));
});

test("a terminal goes on while the table is away, a new one gets a reason, and both are checked once it is back", async () => {
  const client = await open("one");
  const late = await issue("one");
  await requestCancel(fixture.world.as("alice"), "one");
  isAway = true;
  fixture.reads.length = 0;
  fixture.world.clock.advance(6_000);
  await expect.poll(() => fixture.reads.length).toBeGreaterThan(2);

  const refused = await connectTerminal(late);
  const [code] = await refused.closed;
  const state = client.ws.readyState;
  isAway = false;

  expect([code, state]).toEqual([4503, WebSocket.OPEN]);
  expect((await client.closed)[0]).toBe(4410);
});
