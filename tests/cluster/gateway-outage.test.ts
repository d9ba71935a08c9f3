import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { closings } from "#gateway/terminal/close-codes.ts";
import { connectTerminal, type TerminalClient } from "#gateway/terminal/terminal-client-fixture.ts";
import { toolsPath } from "../../scripts/images/tools-programs.ts";
import { said, shows } from "../conformance/web-terminal.ts";
import { openEchoSession } from "./echo-session.ts";
import { type GatewayFixture, openGatewayFixture } from "./gateway-fixture.ts";
import { type GatewayPage, startPage } from "./gateway-page.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { type NetworkPath, openNetworkPath } from "./network-path.ts";

let fixture: GatewayFixture;
let gateway: GatewayProcess;
let page: GatewayPage;
let inside: Server;
let settings: Readonly<Record<string, string>>;
/** Paths of the gateway. */
let toApiServer: NetworkPath;
let toTable: NetworkPath;

beforeAll(async () => {
  fixture = await openGatewayFixture({ tools: await toolsPath(process.env) });
  inside = createServer((_, response) => response.end("the page")).listen(0, "127.0.0.1");
  new WebSocketServer({ server: inside }).on("connection", (socket) => {
    socket.on("message", (message) => socket.send(String(message)));
  });
  await once(inside, "listening");
  page = await startPage(fixture, (inside.address() as AddressInfo).port);
  const { home } = fixture.cluster.cluster.controlPlane;
  const [original, own] = [join(home, "berth.kubeconfig"), join(home, "gateway-outage.kubeconfig")];
  const config = await readFile(original, "utf8");
  const [, port] = /https:\/\/127\.0\.0\.1:(\d+)/.exec(config) ?? [];
  toApiServer = await openNetworkPath(Number(port));
  toTable = await openNetworkPath(Number(new URL(fixture.tableEndpoint).port));
  await writeFile(own, config.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${toApiServer.port}`));
  settings = { KUBECONFIG: own, AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${toTable.port}` };
});
beforeEach(async () => {
  gateway = await fixture.startGateway(settings);
});
afterAll(async () => {
  for (const path of [toApiServer, toTable]) path.close();
  inside.close();
  await fixture.stop();
});

const get = () => ask(gateway.webPort, page.host, { headers: page.headers });
const openSession = () => openEchoSession(fixture.sshWords(gateway));
const enter = () => fixture.ssh(gateway, "echo inside");
const openWebSocket = async () => {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.webPort}/`, { headers: { host: page.host, ...page.headers } });
  await once(socket, "open");
  return socket;
};
const echo = async (socket: WebSocket) => {
  socket.send("still here");
  return String((await once(socket, "message"))[0]);
};
const openTerminal = async () => {
  const client = await connectTerminal(await page.getTicket(gateway.webPort));
  await client.until(said("opened"));
  return client;
};
let typed = 0;
/** Types a command, and waits for what it prints. */
const type = async (terminal: TerminalClient) => {
  typed += 1;
  terminal.type(`echo "still he""re ${typed}"\n`);
  await terminal.until(shows(`still here ${typed}`));
  return "still here";
};
const isReady = async () => (await ask(gateway.webPort, "127.0.0.1", { path: "/readyz" })).status === 200;
const asBefore = [
  { status: 200, body: "the page" },
  { code: 0, out: "inside\n" },
];

describe("while the API server", () => {
  it("takes no connection, open sessions go on, and what is new gets a reason", async () => {
    const session = await openSession();
    const before = [await get(), await enter()];

    toApiServer.refuse();
    const echo = await session.say("still here\n");
    const refused = await enter();
    toApiServer.cut();
    const [code] = await session.ended;
    const [away, ready] = [await get(), await isReady()];
    toApiServer.open();
    const back = [await get(), await enter()];

    expect([before, echo]).toMatchObject([asBefore, "still here\n"]);
    expect(refused).toMatchObject({ code: 255, out: "" });
    expect(refused.err).toContain("cannot be entered now: its cluster or its machine does not answer");
    expect([code, away.status, ready]).toEqual([255, 502, true]);
    expect(back).toMatchObject(asBefore);
  });

  it("takes connections and never answers, what is new gets a reason, and open sessions wait for it", async () => {
    const session = await openSession();

    toApiServer.silence();
    const echoed = session.say("still here\n");
    const refused = await enter();
    const [away, ready] = [await get(), await isReady()];
    toApiServer.open();
    const echo = await echoed;
    const back = [await get(), await enter()];
    session.close();

    expect(refused).toMatchObject({ code: 255, out: "" });
    expect(refused.err).toContain("cannot be entered now: its cluster or its machine does not answer");
    expect([away.status, ready, echo]).toEqual([502, true, "still here\n"]);
    expect(back).toMatchObject(asBefore);
  });
});

/** Each check of open sessions fails within 6 s, so these take up to a minute. */
const FAILED_CHECKS = 10;

describe.each(["refuse", "silence"] as const)("while the table is away for ten checks (%s)", (block) => {
  it("open sessions, terminals and WebSockets go on, and what is new gets a reason", async () => {
    const session = await openSession();
    const [socket, terminal] = [await openWebSocket(), await openTerminal()];
    const say = async () => [await session.say("still here\n"), await echo(socket), await type(terminal)];
    const before = await say();

    toTable[block]();
    if (block === "refuse") toTable.cut();
    // By then no earlier read admits anybody.
    await gateway.logged("ssh connections not checked", FAILED_CHECKS);
    const [refused, away, upgrade, closed, during] = await Promise.all([
      enter(),
      get(),
      openWebSocket().catch((error: Error) => error.message),
      connectTerminal(await page.getTicket(gateway.webPort)).then((client) => client.closed),
      say(),
    ]);
    const ready = await isReady();
    toTable.open();
    const back = [await get(), await enter()];
    const after = await say();
    for (const close of [session.close, () => socket.close(), () => terminal.ws.close()]) close();

    expect(refused).toMatchObject({ code: 255, out: "" });
    expect(refused.err).toContain("Berth cannot check keys now: try again in a moment");
    expect([away.status, upgrade, ready]).toEqual([503, "Unexpected server response: 503", true]);
    expect(away.body).toContain("Try again in a moment.");
    expect(closed).toEqual(closings.unreachable);
    expect([before, during, after]).toEqual(Array(3).fill(["still here\n", "still here", "still here"]));
    expect(back).toMatchObject(asBefore);
  });
});
