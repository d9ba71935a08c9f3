import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "../fixture.ts";
import { dialSocket } from "../supervisor/control-socket.ts";
import { createForwards, type Forwards, portsSocket } from "./forwards.ts";
import { findFreePort } from "./local-ports.ts";

describe("the forwards into a run's own network", () => {
  let directory: string;
  let forwards: Forwards;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "berth-forwards-"));
    forwards = createForwards(directory, { home: directory, network: "own" }, () => undefined);
  });
  afterEach(() => {
    forwards.close();
    rmSync(directory, { recursive: true });
  });

  it("refuse a port that another program has taken", async () => {
    const otherServer = createServer().listen(0, "127.0.0.1");
    await once(otherServer, "listening");
    const { port } = otherServer.address() as { readonly port: number };

    const opening = forwards.open(port);

    await expect(opening).rejects.toMatchObject({ code: "EADDRINUSE" });
    otherServer.close();
    await once(otherServer, "close");
    await forwards.open(port);
  });

  it("keep a port that is already open", async () => {
    const port = await findFreePort();
    await forwards.open(port);

    await expect(forwards.open(port)).resolves.toBeUndefined();
  });

  it("release a port that is shut", async () => {
    const port = await findFreePort();
    await forwards.open(port);

    forwards.shut(port);

    const otherServer = createServer();
    await eventually(
      () => tryToListen(otherServer, port),
      (isListening) => isListening,
    );
    otherServer.close();
  });

  it("limit the connections of one run", async () => {
    forwards.begin();
    const guests: Socket[] = [];
    const open = () => guests.filter(({ closed, readableEnded }) => !closed && !readableEnded).length;
    const dial = async () => {
      const guest = dialSocket(directory, portsSocket).on("error", () => undefined);
      guests.push(guest.resume());
      await once(guest, "connect");
    };

    for (let n = 0; n < 300; n += 1) await dial();

    await eventually(open, (count) => count === 256);
    for (const guest of guests) guest.destroy();
    await eventually(open, (count) => count === 0);
    await eventually(
      async () => {
        await dial();
        return open();
      },
      (count) => count > 10,
    );
    for (const guest of guests) guest.destroy();
  });
});

async function tryToListen(server: Server, port: number): Promise<boolean> {
  const listening = once(server.listen(port, "127.0.0.1"), "listening");
  return listening.then(
    () => true,
    () => false,
  );
}
