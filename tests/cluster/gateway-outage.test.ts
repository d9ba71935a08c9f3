import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer as createPage, type Server } from "node:http";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ask } from "#gateway/ingress/ingress-fixture.ts";
import { openEchoSession } from "./echo-session.ts";
import { type GatewayFixture, openGatewayFixture } from "./gateway-fixture.ts";
import { type GatewayPage, startPage } from "./gateway-page.ts";
import type { GatewayProcess } from "./gateway-process.ts";

let fixture: GatewayFixture;
let gateway: GatewayProcess;
let page: GatewayPage;
let inside: Server;
/** The way of the gateway to the API server. */
let way: Way;

beforeAll(async () => {
  fixture = await openGatewayFixture();
  inside = createPage((_, response) => response.end("the page")).listen(0, "127.0.0.1");
  await once(inside, "listening");
  page = await startPage(fixture, (inside.address() as AddressInfo).port);
  const { home } = fixture.cluster.cluster.controlPlane;
  const [original, own] = [join(home, "berth.kubeconfig"), join(home, "gateway-outage.kubeconfig")];
  const config = await readFile(original, "utf8");
  const [, port] = /https:\/\/127\.0\.0\.1:(\d+)/.exec(config) ?? [];
  way = await openWay(Number(port));
  await writeFile(own, config.replaceAll(`127.0.0.1:${port}`, `127.0.0.1:${way.port}`));
  gateway = await fixture.startGateway({ KUBECONFIG: own });
});
afterAll(async () => {
  way.close();
  inside.close();
  await fixture.stop();
});

interface Way {
  readonly port: number;
  isOpen: boolean;
  cut(): void;
  close(): void;
}

async function openWay(to: number): Promise<Way> {
  const sockets = new Set<Socket>();
  const server = createServer((outside) => {
    if (!way.isOpen) return void outside.destroy();
    const server = connect(to, "127.0.0.1");
    for (const socket of [outside, server]) {
      sockets.add(socket.on("error", () => undefined));
      socket.once("close", () => {
        sockets.delete(socket);
        for (const end of [outside, server]) end.destroy();
      });
    }
    outside.pipe(server).pipe(outside);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    isOpen: true,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const get = () => ask(gateway.webPort, page.host, { headers: page.headers });

it("while the API server takes no connection, open sessions go on, and what is new gets a reason", async () => {
  const session = await openEchoSession(fixture.sshWords(gateway));
  const before = await get();

  way.isOpen = false;
  const echo = await session.say("still here\n");
  const refused = await fixture.ssh(gateway, "echo inside");
  way.cut();
  const [code] = await session.ended;
  const away = await get();
  const health = await ask(gateway.webPort, "127.0.0.1", { path: "/readyz" });
  way.isOpen = true;
  const back = [await get(), await fixture.ssh(gateway, "echo inside")];

  expect([before.status, before.body, echo]).toEqual([200, "the page", "still here\n"]);
  expect(refused).toMatchObject({ code: 255, out: "" });
  expect(refused.err).toContain("cannot be entered now: its cluster or its machine does not answer");
  expect(code).toBe(255);
  expect([away.status, health.status]).toEqual([502, 200]);
  expect(back).toMatchObject([
    { status: 200, body: "the page" },
    { code: 0, out: "inside\n" },
  ]);
});
