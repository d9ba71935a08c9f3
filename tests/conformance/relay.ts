import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import type { Duplex, Readable, Writable } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { frame } from "#relay/frames.ts";
import { MOST_STREAMS } from "#relay/multiplexer.ts";
import { WINDOW_BYTES } from "#relay/receive-window.ts";
import { type RelayPlace, serveRelay } from "#relay/relay.ts";

/** Conformance tests for programs that connect the sockets of a run with a client. `words` start one. */
export function relayConformance(words: readonly string[]): void {
  let folder: string;
  const children = new Set<ChildProcess>();
  beforeEach(() => {
    folder = mkdtempSync("/tmp/berth-relay-");
  });
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children.clear();
    rmSync(folder, { recursive: true });
  });

  const start = (place: RelayPlace) => {
    const [file = "", ...args] = [...words, ...place];
    const child = spawn(file, args, { cwd: folder, stdio: ["pipe", "pipe", "ignore"] });
    child.stdin.on("error", () => undefined);
    children.add(child);
    const ended = once(child, "close").then(([code]) => code as number | null);
    return { child, ended, input: child.stdin as Writable, output: child.stdout as Readable };
  };
  const open = (place: RelayPlace, onVisitor: (visitor: Duplex) => void = (visitor) => visitor.pipe(visitor)) => {
    const program = start(place);
    const relay = serveRelay({ ...program, hangUp: () => program.child.kill("SIGHUP") }, onVisitor);
    return { ...program, relay };
  };
  const visit = (where: { path: string } | { port: number }) =>
    connect({ host: "127.0.0.1", allowHalfOpen: true, ...where }).on("error", () => undefined);

  it("carries many bytes of a port in both directions, and ends each direction separately", async () => {
    const bytes = Buffer.from(Array.from({ length: 5_000_000 }, (_, at) => at % 251));
    const { relay } = open(["tcp", "0"], (visitor) => {
      void buffer(visitor).then((received) => visitor.end(received.reverse()));
    });

    const socket = visit({ port: Number(await relay.address) });
    socket.end(bytes);

    expect((await buffer(socket)).equals(Buffer.from(bytes).reverse())).toBe(true);
  });

  it("listens on the requested port of the loopback, and not if it is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;

    const taken = open(["tcp", String(port)]);
    await expect(taken.relay.address).rejects.toThrow("The relay could not listen or connect");
    server.close();
    await once(server, "close");
    const free = open(["tcp", String(port)]);

    expect([await taken.ended, await free.relay.address]).toEqual([1, String(port)]);
  });

  it.each([
    ["a path", (path: string) => ["unix", path] as const, "there"],
    ["a path that begins with @", () => ["unix", "@there"] as const, "@there"],
  ])("listens at %s that only its user may use, and removes it at its end", async (_, getPlace, name) => {
    const path = join(folder, name);
    const { relay, ended } = open(getPlace(path));
    await relay.address;
    const mode = statSync(path).mode & 0o777;
    const socket = visit({ path });
    socket.end("hello");

    const answer = await text(socket);
    relay.close();

    expect([mode, answer, await ended, existsSync(path)]).toEqual([0o600, "hello", 0, false]);
  });

  it("refuses a path that exists, and leaves it", async () => {
    const path = join(folder, "there");
    writeFileSync(path, "a file");

    const { relay, ended } = open(["unix", path]);

    await expect(relay.address).rejects.toThrow();
    expect([await ended, existsSync(path)]).toEqual([1, true]);
  });

  it.each([
    ["its input ends", ({ input }: { input: Writable }) => void input.end(), 0],
    ["it is hung up", ({ child }: { child: ChildProcess }) => void child.kill("SIGHUP"), 1],
    ["it is terminated", ({ child }: { child: ChildProcess }) => void child.kill("SIGTERM"), 1],
  ])("listens for an agent in a directory that only its user may enter, until %s", async (_, end, code) => {
    const program = open(["agent"]);
    const path = await program.relay.address;
    const directory = dirname(path);
    const modes = [directory, path].map((name) => statSync(name).mode & 0o777);
    const socket = visit({ path });
    socket.write("hello");
    const [answer] = (await once(socket, "data")) as [Buffer];

    end(program);

    expect([modes, answer.toString(), await program.ended]).toEqual([[0o700, 0o600], "hello", code]);
    expect(existsSync(directory)).toBe(false);
  });

  it("connects to a path as its only visitor, and fails if nothing listens there", async () => {
    const path = join(folder, "server");
    const server = createServer((socket) => socket.pipe(socket)).listen(path);
    await once(server, "listening");
    const visitors: Duplex[] = [];

    const { relay } = open(["dial", path], (visitor) => void visitors.push(visitor));
    const address = await relay.address;
    await expect.poll(() => visitors.length).toBe(1);
    const [visitor] = visitors;
    visitor?.end("hello");
    const answer = visitor && (await text(visitor));
    server.close();
    const absent = open(["dial", join(folder, "nothing")]);

    expect([address, answer]).toEqual(["", "hello"]);
    await expect(absent.relay.address).rejects.toThrow();
    expect(await absent.ended).toBe(1);
  });

  it("stops only a visitor whose data is not read", async () => {
    const visitors: Duplex[] = [];
    const { relay } = open(["tcp", "0"], (visitor) => void visitors.push(visitor));
    const port = Number(await relay.address);
    const slow = visit({ port });
    // More than the kernel's buffers of both sockets.
    slow.write(Buffer.alloc(64 * 1024 * 1024));
    await expect.poll(() => visitors.length).toBe(1);
    const quick = visit({ port });
    quick.end("goes on");
    await expect.poll(() => visitors.length).toBe(2);

    const heard = visitors[1] && (await text(visitors[1]));

    expect(heard).toBe("goes on");
    expect(slow.writableLength).toBeGreaterThan(0);
  });

  it(`serves ${MOST_STREAMS} visitors, turns away the next one, and takes others once one has left`, async () => {
    const visitors: Duplex[] = [];
    const { relay } = open(["tcp", "0"], (visitor) => void visitors.push(visitor));
    const port = Number(await relay.address);
    const sockets = await Promise.all(
      Array.from({ length: MOST_STREAMS }, async () => {
        const socket = visit({ port });
        await once(socket, "connect");
        return socket;
      }),
    );
    await expect.poll(() => visitors.length).toBe(MOST_STREAMS);

    const next = await buffer(visit({ port }).end());
    const before = visitors.length;
    visitors[0]?.destroy();
    // The relay closes its end of the socket after the place is free.
    await Promise.allSettled(sockets.slice(0, 1).map((socket) => buffer(socket)));
    visit({ port });

    expect([next.length, before]).toEqual([0, MOST_STREAMS]);
    await expect.poll(() => visitors.length).toBe(MOST_STREAMS + 1);
  });

  describe("does not believe its client, and removes its sockets, at", () => {
    it.each([
      // The kernel's buffers take some of it.
      [
        "more data than the window",
        Array.from({ length: 256 }, () => frame("data", 1, Buffer.alloc(WINDOW_BYTES / 4))),
      ],
      ["an empty part", [frame("data", 1)]],
      ["data after its end", [frame("end", 1), frame("data", 1, Buffer.from("more"))]],
      ["room that was not taken", [frame("more", 1, Buffer.from([0, 0, 0, 1]))]],
      ["a number without its bytes", [frame("more", 1)]],
      ["a stream that it did not open", [frame("open", 2)]],
      ["a frame of an unknown kind", [Buffer.from([0, 0, 0, 0, 9, 0, 0, 0, 1])]],
      ["a frame of 4 GB", [Buffer.from([255, 255, 255, 255, 2, 0, 0, 0, 1])]],
    ])("%s", async (_, frames) => {
      const path = join(folder, "there");
      const { ended, input, output } = start(["unix", path]);
      await once(output, "data");
      // It reads nothing, so its data waits in the relay.
      const socket = visit({ path }).pause();
      await once(output, "data");

      for (const bytes of frames) input.write(bytes);

      expect([await ended, existsSync(path)]).toEqual([1, false]);
      socket.destroy();
    });
  });

  it("ends when nothing reads its output any more", async () => {
    const path = join(folder, "there");
    const { ended, output } = start(["unix", path]);
    await once(output, "data");
    output.destroy();

    const socket = visit({ path });

    expect([await ended, existsSync(path)]).toEqual([1, false]);
    socket.destroy();
  });
}
