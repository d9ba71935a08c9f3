import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listensInside } from "./listening.ts";

describe("a listener in a network", () => {
  const server = createServer((socket) => socket.on("error", () => undefined));
  const sockets: Socket[] = [];
  const getPort = () => (server.address() as AddressInfo).port;

  beforeEach(async () => {
    await once(server.listen(0, "127.0.0.1"), "listening");
  });
  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it("is found before all connections, whose number is not limited", async () => {
    const port = getPort();
    for (let n = 0; n < 400; n += 1) sockets.push(connect({ host: "127.0.0.1", port }));
    await Promise.all(sockets.map((socket) => once(socket, "connect")));

    // Both ends take 120,000 bytes in the table; the listeners of a machine take less than half.
    expect(await listensInside(process.pid, port, 60_000)).toBe(true);
    expect(await listensInside(process.pid, sockets[0]?.localPort ?? 0)).toBe(false);
  });

  it("is searched without blocking this process", async () => {
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    });
    const messages: Promise<boolean>[] = [];

    while (turns < 3) {
      messages.push(listensInside(process.pid, getPort()));
      await messages.at(-1);
    }
    clearInterval(counting);

    expect(new Set(await Promise.all(messages))).toEqual(new Set([true]));
  });

  it("is not found if the table cannot be read", async () => {
    expect(await listensInside(2 ** 30, getPort())).toBe(false);
    // Less than the heading of the table.
    expect(await listensInside(process.pid, getPort(), 100)).toBe(false);
  });
});
