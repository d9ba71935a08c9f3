import { spawn } from "node:child_process";
import { once } from "node:events";
import { createConnection, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { isOwnPeer, mayUse, sharedRead, userIn } from "./own-peer.ts";

const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
const line = (from: string, to: string, state = "01", uid = 1000, inode = 4711) =>
  `   0: ${from} ${to} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0 20 4 30 10 -1`;
const ends = { client: "127.0.0.1:40000", server: "127.0.0.1:8080" };
const [from, to] = ["0100007F:9C40", "0100007F:1F90"];

it.each([
  ["of the client's end", [line(to, from, "01", 7), line(from, to)], 1000],
  [
    "of a socket that speaks IPv6 too",
    [line(`0000000000000000FFFF0000${from}`, `0000000000000000FFFF0000${to}`)],
    1000,
  ],
  ["of root", [line(from, to, "01", 0)], 0],
  ["of a client that has sent everything and waits for the answer", [line(from, to, "05")], 1000],
  ["of a client whose FIN has not arrived yet", [line(from, to, "04")], 1000],
  ["as unknown if its process has closed the socket", [line(from, to, "05", 0, 0)], undefined],
  ["as unknown while the socket waits for its end", [line(from, to, "06", 0, 0)], undefined],
  [
    "of nobody where that is all of another connection",
    [line("0100007F:9C41", to), line(from, "0100007F:1F91")],
    undefined,
  ],
  ["as unknown if the connection was redirected", [line(from, "0200007F:1F90")], undefined],
  [
    "of the connection to us beside one to another address",
    [line(from, "0200007F:1F90", "01", 7), line(from, to)],
    1000,
  ],
  ["as unknown if only the end of the address matches", [line(`AAAAAAAAAAAAAAAAAAAAAAAA${from}`, to)], undefined],
  ["as unknown in an empty table", [], undefined],
])("finds the user %s", (_, lines, user) => {
  expect(userIn([head, ...lines, ""].join("\n"), ends)).toBe(user);
});

it.each([
  [1000, 1000, true],
  [1000, 0, true],
  [0, 0, true],
  [1000, 1001, false],
  [0, 65_534, false],
])("a server of user %i admits user %i: %s", (ownValue, user, isLet) => {
  expect(mayUse(ownValue, user)).toBe(isLet);
});

async function input(connect: (port: number) => unknown, ownValue?: number): Promise<boolean> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  connect((server.address() as { readonly port: number }).port);
  const [socket] = await accepted;
  const isOwn = await isOwnPeer(
    socket.on("error", () => undefined),
    ownValue,
  );
  socket.destroy();
  server.close();
  return isOwn;
}

it.each(["127.0.0.1", "::ffff:127.0.0.1"])("our own processes are admitted, by %s", async (host) => {
  expect(await input((port) => createConnection({ port, host }).on("error", () => undefined))).toBe(true);
});

it("our own processes are not admitted by another user's server, but root's are", async () => {
  const isLet = await input((port) => createConnection({ port, host: "127.0.0.1" }).on("error", () => undefined), 4711);

  // Only Linux reports the user of a connection.
  expect(isLet).toBe(process.platform !== "linux" || process.getuid?.() === 0);
});

it("a client that has sent everything before the accept is admitted", async () => {
  const server = createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const { port } = server.address() as { readonly port: number };
  const client = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true }).end("all of it");
  const [socket] = await accepted;
  await once(socket.resume(), "end");

  expect(await isOwnPeer(socket)).toBe(true);

  client.destroy();
  socket.destroy();
  server.close();
});

it("callers during a read share the next one", async () => {
  const readings: ((text: string) => void)[] = [];
  const read = sharedRead(() => new Promise((resolve) => readings.push(resolve)));
  const first = read();
  await Promise.resolve();
  const others = [read(), read()];
  expect(readings).toHaveLength(1);

  readings[0]?.("one");
  expect(await first).toBe("one");
  await Promise.resolve();
  expect(readings).toHaveLength(2);
  readings[1]?.("two");

  expect(await Promise.all(others)).toEqual(["two", "two"]);
});

// Only root can become another user. For a plain user, the test above uses another user.
if (process.platform === "linux" && process.getuid?.() === 0) {
  it("processes of another user are not admitted", async () => {
    const connect = (port: number) =>
      spawn("/bin/bash", ["-c", `exec 3<>/dev/tcp/127.0.0.1/${port}; read -r <&3`], {
        uid: 65_534,
        gid: 65_534,
        cwd: "/",
        stdio: "ignore",
      });

    expect(await input(connect)).toBe(false);
  });
}
