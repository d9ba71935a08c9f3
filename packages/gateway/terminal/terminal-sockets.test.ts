import { type Duplex, duplexPair } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { issueTerminalTicket } from "#core/environments/access/terminal-tickets.ts";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { apiKeyKey } from "#core/store/keys.ts";
import { HOUR_MS, MINUTE_MS } from "#core/units.ts";
import { offsetBytes, terminalFrame } from "#relay/terminal-frames.ts";
import { type IngressFixture, openIngressFixture } from "../ingress/ingress-fixture.ts";
import { connectTerminal, type TerminalClient, type TicketReply } from "./terminal-client-fixture.ts";

const LABELS = ["one", "two"];
let fixture: IngressFixture;
let isAway: boolean;
let key: string;
/** The environments' ends of the streams. */
let streams: Duplex[];

/** Opens terminals that say nothing but hello, and checks them as often as the machine can. */
beforeEach(async () => {
  streams = [];
  const openTerminal = async () => {
    const [ofGateway, environment] = duplexPair();
    streams.push(environment);
    environment.resume().write(terminalFrame("hello", offsetBytes(0)));
    return ofGateway;
  };
  isAway = false;
  fixture = await openIngressFixture({ checkMs: 1 }, undefined, { openTerminal }, (table) => ({
    ...table,
    get: (key) => (isAway ? Promise.reject(new Error("away")) : table.get(key)),
  }));
  for (const label of LABELS) await fixture.environment(label);
  key = await fixture.keyOf("alice", { expiresAt: fixture.world.clock.now() + 9 * HOUR_MS });
});
afterEach(() => fixture.close());

async function issue(label: string): Promise<TicketReply> {
  const { ids } = fixture.world.ctx;
  const user = fixture.world.as("alice");
  const caller = { ...user, actor: { ...user.actor, keyHash: ids.hash(key) } };
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
  const item = await fixture.world.table.get(apiKeyKey(fixture.world.ctx.ids.hash(key)));
  await fixture.world.table.put({ ...item, revokedAt: fixture.world.clock.now() } as never);

  expect(await closings(clients)).toEqual(Array(20).fill(4401));
  // Each one reads its ticket and its environment.
  expect(opening.filter((call) => call === "table.get")).toHaveLength(20 * 2 + 1);
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

const noDisk = {
  type: "notice",
  kind: "warning",
  text: "No disk: files in $WORKSPACE and the home are lost when the environment ends",
};
const heard = ({ messages }: TerminalClient) => messages.filter(({ type }) => type === "notice");
const hears = (text: string) => (client: TerminalClient) =>
  heard(client).some((message) => String(message.text).includes(text));
/** Lets the gateway check the terminal several times. */
async function pause(client: TerminalClient): Promise<void> {
  const pongs = () => client.messages.filter(({ type }) => type === "pong").length;
  const before = pongs();
  for (let n = 1; n <= 50; n += 1) {
    client.say({ type: "ping" });
    await client.until(() => pongs() === before + n);
  }
}
const warn = () => fixture.world.advance(31 * MINUTE_MS);

test("a client hears each warning, each extension and the end once, and then its terminal is closed", async () => {
  const client = await open("one");
  await warn();
  await client.until(hears("Expires in 30 minutes"));
  await pause(client);
  await requestExtension(fixture.world.as("alice"), "one", HOUR_MS);
  await fixture.world.advance(10_000);
  await client.until(hears("Extended"));
  await pause(client);
  await requestCancel(fixture.world.as("alice"), "one");
  fixture.world.clock.advance(6_000);

  expect(await client.closed).toEqual([4410, "The environment has ended"]);
  expect(heard(client)).toEqual([
    noDisk,
    { type: "notice", kind: "warning", text: "Expires in 30 minutes" },
    { type: "notice", kind: "news", text: expect.stringMatching(/^Extended: expires at 20\d\d-.* UTC$/) },
    { type: "notice", kind: "end", text: "This environment was cancelled: Cancelled by its owner" },
  ]);
});

test("a new client hears the current warning with the time that remains, and nothing that is over", async () => {
  await warn();
  await fixture.world.advance(5 * MINUTE_MS);
  const warned = await open("one");
  await warned.until(hears("No disk"));
  await requestExtension(fixture.world.as("alice"), "one", HOUR_MS);
  await fixture.world.advance(10_000);
  const later = await open("one");
  await later.until(hears("No disk"));
  warned.ws.terminate();

  expect(heard(warned)[0]).toEqual({ type: "notice", kind: "warning", text: "Expires in 24 minutes" });
  expect(heard(later)).toEqual([noDisk]);
});

test.each([
  ["its shell is killed", (stream: Duplex) => stream.write(terminalFrame("exit", Buffer.from([0, 0, 0, 137])))],
  ["its stream is cut", (stream: Duplex) => stream.destroy()],
] as const)("a client hears why its environment ends if %s just before that is recorded", async (_, cut) => {
  const client = await open("one");
  const [stream] = streams;
  if (stream) cut(stream);
  await requestCancel(fixture.world.as("alice"), "one");

  expect((await client.closed)[0]).toBe(4410);
  expect(heard(client).at(-1)).toMatchObject({
    kind: "end",
    text: "This environment was cancelled: Cancelled by its owner",
  });
});

test("a client that comes with a ticket of an environment that has ended hears why", async () => {
  const late = await issue("one");
  await requestCancel(fixture.world.as("alice"), "one");
  const client = await connectTerminal(late);

  expect((await client.closed)[0]).toBe(4410);
  expect(heard(client)).toEqual([
    { type: "notice", kind: "end", text: "This environment was cancelled: Cancelled by its owner" },
  ]);
});
