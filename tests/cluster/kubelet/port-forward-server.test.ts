import { once } from "node:events";
import { IncomingMessage } from "node:http";
import { type AddressInfo, createServer, Socket } from "node:net";
import { Duplex } from "node:stream";
import { expect, it } from "vitest";
import type { PodRun } from "./pod-run.ts";
import { acceptPortForward } from "./port-forward-server.ts";

/** WebSocket upgrade as an API server passes it on to a kubelet. */
function upgradeRequest(): IncomingMessage {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "v4.channel.k8s.io",
  };
  return Object.assign(new IncomingMessage(new Socket()), { method: "GET", headers });
}

/** Socket that records each write, where a corked one writes its parts at once as a TCP socket does. */
function recordedSocket() {
  const writes: Buffer[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (part: Buffer, _, done) => {
      writes.push(part);
      done();
    },
    writev: (parts, done) => {
      writes.push(Buffer.concat(parts.map(({ chunk }) => chunk as Buffer)));
      done();
    },
  });
  return { socket, writes };
}

/** Frame of a server (RFC 6455, 5.2) with a binary message of less than 126 bytes. */
const frame = (...bytes: number[]) => Buffer.from([0x82, bytes.length, ...bytes]);

it.each([
  ["one port", ["8080"], [frame(0, 0x90, 0x1f), frame(1, 0x90, 0x1f)]],
  ["two ports", ["8080,80"], [frame(0, 0x90, 0x1f), frame(1, 0x90, 0x1f), frame(2, 0x50, 0), frame(3, 0x50, 0)]],
  ["no port", [], []],
])("the answer to the upgrade and the headers of %s are one write", async (_, ports, frames) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const run = { containers: [{ script: { ports: { 80: port, 8080: port } } }] } as unknown as PodRun;
  const { socket, writes } = recordedSocket();
  const query = new URLSearchParams(ports.map((value): [string, string] => ["port", value]));

  acceptPortForward(upgradeRequest(), socket, Buffer.alloc(0), query, run);

  const [first = Buffer.alloc(0), ...others] = writes;
  const end = first.indexOf("\r\n\r\n") + 4;
  expect(first.subarray(0, end).toString()).toMatch(/^HTTP\/1\.1 101 Switching Protocols\r\n/);
  expect(first.subarray(end)).toEqual(Buffer.concat(frames));
  expect(others).toEqual([]);
  socket.destroy();
  server.close();
});
