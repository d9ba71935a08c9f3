import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { toolsPath } from "../../scripts/images/tools-programs.ts";
import { openEchoSession } from "./echo-session.ts";
import { type GatewayFixture, openGatewayFixture, withTunnels } from "./gateway-fixture.ts";
import { startPage } from "./gateway-page.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { type NetworkPath, openNetworkPath } from "./network-path.ts";

let fixture: GatewayFixture;
let gateway: GatewayProcess;
let toApiServer: NetworkPath;
let settings: Readonly<Record<string, string>>;

beforeAll(async () => {
  fixture = await openGatewayFixture({ tools: await toolsPath(process.env) });
  const { home } = fixture.cluster.cluster.controlPlane;
  const kubeconfig = join(home, "gateway-tunnel.kubeconfig");
  const config = await readFile(join(home, "berth.kubeconfig"), "utf8");
  const [, port] = /https:\/\/127\.0\.0\.1:(\d+)/.exec(config) ?? [];
  toApiServer = await openNetworkPath(Number(port));
  await writeFile(kubeconfig, config.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${toApiServer.port}`));
  settings = { KUBECONFIG: kubeconfig, ...withTunnels };
});
beforeEach(async () => {
  gateway = await fixture.startGateway(settings);
});
afterAll(async () => {
  toApiServer.close();
  await fixture.stop();
});

it("a pod connects to the gateway, and its sessions have separate outputs, an exit code and a terminal", async () => {
  const session = await fixture.ssh(gateway, "echo inside; echo wrong >&2; exit 3");
  const inTerminal = execFile("ssh", ["-tt", ...fixture.sshWords(gateway), "test -t 0 && stty size; exit 4"]);
  const [code] = await once(inTerminal, "close");

  expect(session).toEqual({ code: 3, out: "inside\n", err: "wrong\n" });
  expect(code).toBe(4);
  expect(await gateway.logged("tunnel opened")).toMatchObject({ run: fixture.run });
});

it("while the API server is away, open sessions go on, and new sessions and pages of that run succeed", async () => {
  const server = createServer((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthe page"));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const page = await startPage(fixture, (server.address() as AddressInfo).port);
  const get = () => ask(gateway.webPort, page.host, { headers: page.headers });
  const session = await openEchoSession(fixture.sshWords(gateway));
  await get();
  // One for each of the two runs.
  await gateway.logged("tunnel opened", 2);

  toApiServer.refuse();
  toApiServer.cut();
  const echo = await session.say("still here\n");
  const entered = await fixture.ssh(gateway, "echo inside");
  const shown = await get();
  toApiServer.open();
  session.close();

  expect([echo, entered]).toEqual(["still here\n", { code: 0, out: "inside\n", err: "" }]);
  expect(shown).toMatchObject({ status: 200, body: "the page" });
  expect(await session.ended).toEqual([0, null]);
  server.close();
});

it("a forward carries an answer that begins after the client's side has ended", async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    void text(socket).then((asked) => socket.end(`answer to ${asked}`));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const client = spawn("ssh", ["-W", `127.0.0.1:${port}`, ...fixture.sshWords(gateway)], {
    stdio: ["pipe", "pipe", "ignore"],
  });

  client.stdin.end("a question");

  expect(await text(client.stdout)).toBe("answer to a question");
  server.close();
});

it("a gateway that pods cannot reach enters them through the API server and logs the reason once", async () => {
  // No route leads to this network (RFC 5737).
  const unreachable = await fixture.startGateway({ ...settings, POD_IP: "192.0.2.1" });

  const sessions = [await fixture.ssh(unreachable, "echo inside"), await fixture.ssh(unreachable, "echo inside")];

  expect(sessions).toEqual(Array(2).fill({ code: 0, out: "inside\n", err: "" }));
  expect(await unreachable.logged("tunnel not opened")).toMatchObject({ run: fixture.run });
  expect(unreachable.lines.filter(({ event }) => event === "tunnel not opened")).toHaveLength(1);
});
