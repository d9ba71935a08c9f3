import { createHash, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, type Socket } from "node:net";
import { createSecureContext, TLSSocket } from "node:tls";
import { afterEach, beforeEach, expect, it } from "vitest";
import { selfSigned } from "#kubernetes/fixtures/loopback-fixture.ts";
import { type TunnelServer, tunnelServer } from "./tunnel-server.ts";

const { key, cert } = selfSigned();
const fingerprint = createHash("sha256").update(new X509Certificate(cert).raw).digest("hex");

let tunnels: TunnelServer;
beforeEach(async () => {
  tunnels = tunnelServer();
  await once(tunnels.server.listen(0, "127.0.0.1"), "listening");
});
afterEach(() => void tunnels.server.close());

const dial = (localAddress = "127.0.0.1") =>
  connect({ port: (tunnels.server.address() as AddressInfo).port, host: "127.0.0.1", localAddress }).on(
    "error",
    () => undefined,
  );
const closed = (socket: Socket) => once(socket.resume(), "close");

/** Greets as images/tools/tunnel does: with the number of an invitation, and then as a server of TLS. */
function greet(line: string) {
  const [number = "", secret = ""] = line.trim().split(" ");
  const socket = dial();
  socket.write(Buffer.from(number, "hex"));
  const secured = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext({ key, cert }) });
  return { socket, secured: secured.on("error", () => undefined), secret };
}

it("accepts the invited program and sends it the secret", async () => {
  const { line, accept } = tunnels.invite();
  const { secured, secret } = greet(line);

  const accepted = await accept(fingerprint);
  const [shown] = (await once(secured, "data")) as [Buffer];
  accepted.destroy();

  expect(shown.toString("hex")).toBe(secret);
});

it("sends no secret to a program with another certificate", async () => {
  const { line, accept } = tunnels.invite();
  const { secured } = greet(line);
  const received: Buffer[] = [];
  secured.on("data", (part: Buffer) => received.push(part));

  await expect(accept("0".repeat(64))).rejects.toThrow("not of the program");
  await once(secured, "close");

  expect(received).toEqual([]);
});

it.each([
  ["a number that was not given", () => Buffer.alloc(16, 1)],
  ["the number of a connection that came before", (used: string) => Buffer.from(used.split(" ")[0] ?? "", "hex")],
])("closes a connection with %s", async (_, getNumber) => {
  const { line, accept } = tunnels.invite();
  const first = greet(line);
  const accepted = await accept(fingerprint);
  const socket = dial();

  socket.write(getNumber(line));
  await closed(socket);

  for (const stream of [accepted, first.secured]) stream.destroy();
});

it("closes a connection after its invitation was cancelled", async () => {
  const { line, accept, cancel } = tunnels.invite();
  const accepting = accept(fingerprint);
  accepting.catch(() => undefined);

  cancel();
  const { socket } = greet(line);
  await closed(socket);

  await expect(accepting).rejects.toThrow("No connection arrived");
});

it("keeps eight silent connections of an address, and closes the next one at once", async () => {
  const silent = Array.from({ length: 8 }, () => dial());
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  const endings: number[] = [];
  for (const [n, socket] of silent.entries()) socket.resume().once("close", () => endings.push(n));

  await closed(dial());

  expect(endings).toEqual([]);
  for (const socket of silent) socket.destroy();
});

it("accepts an invited program while silent connections of other pods take all places", async () => {
  const addresses = Array.from({ length: 32 }, (_, n) => `127.0.1.${n + 1}`);
  const silent = addresses.flatMap((address) => Array.from({ length: 8 }, () => dial(address)));
  await Promise.all(silent.map((socket) => once(socket, "connect")));
  const { line, accept } = tunnels.invite();
  const { secured } = greet(line);

  const accepted = await accept(fingerprint);

  for (const stream of [accepted, secured, ...silent]) stream.destroy();
});
