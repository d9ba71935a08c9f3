import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openIngressFixture } from "#gateway/ingress/ingress-fixture.ts";
import { type OpenSshFixture, openOpenSshFixture, openSshLacks } from "#gateway/ssh/openssh-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { findFreePort } from "#process/network/local-ports.ts";
import { lacksTcpEnds, type TcpEnd, tcpEnds } from "#process/network/tcp-end-fixture.ts";
import { localPorts } from "../cluster/cluster-ports.ts";
import { upgrade } from "./socket-fixture.ts";

const lacking = await lacksTcpEnds();

const endsWith = (port: number, holds: (end: TcpEnd) => boolean, count = 1) =>
  eventually(
    async () => (await tcpEnds(port)).filter(holds),
    ({ length }) => length >= count,
  );
const listOptions = (ends: readonly TcpEnd[]) => ends.map(({ noDelay }) => noDelay);

describe.each(["bubblewrap", "none"] as const)("TCP_NODELAY with an OpenSSH client, isolation %s", (isolation) => {
  const lack = lacking ?? openSshLacks(isolation);
  if (lack !== undefined) {
    it("needs the client, the isolation and python3", ({ skip }) => skip(lack));
    return;
  }

  let fixture: OpenSshFixture;
  const ownValue: (Server | Socket)[] = [];
  beforeEach(async () => {
    fixture = await openOpenSshFixture(isolation);
  });
  afterEach(async () => {
    for (const entry of ownValue.splice(0)) entry instanceof Socket ? entry.destroy() : entry.close();
    await fixture.close();
  });
  const listen = async () => {
    const server = createServer((socket) => ownValue.push(socket.on("error", () => undefined)));
    ownValue.push(server);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return (server.address() as AddressInfo).port;
  };
  const stay = async (options: readonly string[], command: string) => {
    const client = fixture.stay(options, command);
    await once(client.stdout ?? client, "data");
  };
  const visit = (port: number) => ownValue.push(connect(port, "127.0.0.1").on("error", () => undefined));
  const node = () => fixture.nodeInside;

  it("is set on the connection of the client", async () => {
    await stay([], "echo up; exec sleep 600");

    const ends = await endsWith(fixture.server.port, ({ local }) => local === fixture.server.port);

    expect(listOptions(ends)).toEqual([true]);
  });

  it("is set on a connection that -L forwards to a port of the environment", async () => {
    const [near, far] = [await findFreePort(), await findFreePort()];
    const serve = `require("net").createServer(() => {}).listen(${far}, "127.0.0.1", () => console.log("up"))`;
    await stay(["-L", `${near}:127.0.0.1:${far}`], `exec ${node()} -e '${serve}'`);
    visit(near);

    const ends = await endsWith(far, ({ remote }) => remote === far);

    expect(listOptions(ends)).toEqual([true]);
  });

  it("is set on a connection from the environment to a port of -R", async () => {
    const [near, far] = [await listen(), await findFreePort()];
    const visitor = `require("net").connect(${far}, "127.0.0.1", () => console.log("up"))`;
    await stay(["-R", `${far}:127.0.0.1:${near}`], `exec ${node()} -e '${visitor}'`);

    const ends = await endsWith(far, ({ local }) => local === far);

    expect(listOptions(ends)).toEqual([true]);
  });
});

describe("TCP_NODELAY", () => {
  if (lacking !== undefined) {
    it("needs python3", ({ skip }) => skip(lacking));
    return;
  }

  it("is set on the port of this machine that leads to a port of a pod", async () => {
    const ports = localPorts(async () => new PassThrough());
    const port = await ports.open("run", 8080, undefined, true);
    const visitor = connect(port, "127.0.0.1");

    const ends = await endsWith(port, ({ local }) => local === port);
    visitor.destroy();
    ports.stop();

    expect(listOptions(ends)).toEqual([true]);
  });

  it("is set on both connections of a WebSocket that the ingress passes on", async () => {
    const fixture = await openIngressFixture();
    await fixture.environment("page");
    const { port: page } = fixture.page.address() as AddressInfo;
    fixture.page.on("upgrade", (_, socket) => {
      socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    });
    const headers = { ...upgrade, Host: "page.preview.localhost:8080", Authorization: `Bearer ${fixture.key}` };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const visitor = connect(fixture.port, "127.0.0.1");
    visitor.write(`GET / HTTP/1.1\r\n${lines.join("")}\r\n`);
    const [answer] = await once(visitor, "data");

    const [outer, inner] = [await tcpEnds(fixture.port), await tcpEnds(page)];
    visitor.destroy();
    await fixture.close();

    expect(String(answer)).toMatch(/^HTTP\/1\.1 101 /);
    expect(listOptions(outer.filter(({ local }) => local === fixture.port))).toEqual([true]);
    expect(listOptions(inner.filter(({ remote }) => remote === page))).toEqual([true]);
  });
});
