import { createHash } from "node:crypto";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import type { Run } from "#core/ports/compute.ts";
import { type RunEntry, runEntry } from "#kubernetes/access/run-entry.ts";
import type { PodSession, PodSessionRequest } from "#kubernetes/exec/pod-session.ts";
import { type DriverFixture, openDriverFixture } from "./driver-fixture.ts";
import { podServers } from "./pod-servers.ts";

let fixture: DriverFixture;
let entry: RunEntry;
let run: Run;

beforeAll(async () => {
  fixture = await openDriverFixture({ nodes: [{ name: "one", instanceType: "p5.48xlarge" }] });
  entry = runEntry(fixture.computeOptions);
  run = await fixture.applied({
    command: podServers,
    env: { GREETING: "hello" },
    ports: [
      { port: 8080, kind: "http" },
      { port: 8081, kind: "tcp" },
    ],
  });
  await fixture.until(run, (seen) => seen?.state === "ready");
});

// A start that fails leaves no fixture.
afterAll(() => (fixture as DriverFixture | undefined)?.stop());

const tenMegabytes = 10 * 1024 ** 2;
const bytesOf = (size: number) => Buffer.alloc(size, Buffer.from(Array.from({ length: 256 }, (_, at) => at)));
const hashOf = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const dial = (port: number) => entry.dial(run, port);

async function getPage(path: string): Promise<Buffer> {
  const stream = await dial(8080);
  const sent = request({ createConnection: () => stream, path, headers: { host: "localhost", connection: "close" } });
  sent.end();
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  return buffer(answer);
}

async function readToEnd(stream: Duplex, first?: string): Promise<Buffer> {
  if (first !== undefined) stream.write(first);
  return buffer(stream);
}

describe("the ports of a run on a real node", () => {
  it("deliver an answer of 10 MB whole", async () => {
    const body = await getPage(`/${tenMegabytes}`);

    expect([body.length, hashOf(body)]).toEqual([tenMegabytes, hashOf(bytesOf(tenMegabytes))]);
  });

  it("deliver every byte of a server that closes after its last one", async () => {
    const sizes = [256, 65_536, 1024 ** 2, tenMegabytes];

    for (const size of sizes) {
      const bytes = await readToEnd(await dial(8082), `${size}\n`);
      expect([bytes.length, hashOf(bytes)]).toEqual([size, hashOf(bytesOf(size))]);
    }
  });

  it("deliver the greeting of a server that speaks first, on each of 40 connections", async () => {
    const reads = Array.from({ length: 40 }, async () => (await readToEnd(await dial(8081))).toString());

    const greetings = await Promise.all(reads);

    expect(new Set(greetings)).toEqual(new Set(["SSH-2.0-greeter\r\n"]));
  });

  it("keep 40 concurrent connections apart", async () => {
    const sizes = Array.from({ length: 40 }, (_, at) => 256 * (at + 1));

    const bodies = await Promise.all(sizes.map((size) => getPage(`/${size}`)));

    expect(bodies.map(({ length }) => length)).toEqual(sizes);
  });

  it("carry a WebSocket: texts, a binary message of 1 MB, pings and the closing code", async () => {
    const stream = await dial(8080);
    const socket = new WebSocket("ws://localhost:8080/", { createConnection: () => stream, perMessageDeflate: false });
    const received: Buffer[] = [];
    socket.on("message", (message: Buffer) => received.push(message));
    const said = async (message: string | Buffer) => {
      socket.send(message);
      await once(socket, "message");
      return received.at(-1);
    };
    await once(socket, "open");

    const small = await said("é🚀");
    const large = await said(bytesOf(1024 ** 2));
    socket.close(4711, "done");
    const [code, reason] = (await once(socket, "close")) as [number, Buffer];

    expect(small?.toString()).toBe("é🚀");
    expect(large?.equals(bytesOf(1024 ** 2))).toBe(true);
    expect([code, reason.toString()]).toEqual([4711, "done"]);
  });

  it("end a connection to a port on which nothing listens", async () => {
    const stream = await dial(9);

    await expect(buffer(stream)).rejects.toThrow("Nothing answered on that port");
  });
});

const sh = (script: string, more: Partial<PodSessionRequest> = {}) =>
  entry.open(run, { words: ["/bin/sh", "-c", "--"], text: script, env: {}, ...more });

async function readSession(session: PodSession, input?: Buffer) {
  if (input) session.input.end(input);
  const [out, err, code] = await Promise.all([text(session.output), text(session.errors), session.ended]);
  return { out, err, code };
}

describe("a session in a run on a real node", () => {
  it("passes on an input of 10 MB, its end and both outputs", async () => {
    const input = bytesOf(tenMegabytes);

    const { out, err, code } = await readSession(await sh('sha256sum; echo "$GREETING" >&2'), input);

    expect([out, err, code]).toEqual([`${hashOf(input)}  -\n`, "hello\n", 0]);
  });

  it("passes on an output of 10 MB, however slowly it is read", async () => {
    const session = await sh("head -c 10485760 /dev/zero; echo end");
    let bytes = 0;
    let last = "";
    for await (const part of session.output as AsyncIterable<Buffer>) {
      bytes += part.length;
      last = part.toString().slice(-4);
      await new Promise((resolve) => setImmediate(resolve));
    }

    expect([bytes, last, await session.ended]).toEqual([tenMegabytes + 4, "end\n", 0]);
  });

  it.each([
    ["true", 0],
    ["exit 7", 7],
    ["exit 255", 255],
    ["kill -TERM $$", 143],
    ["kill -KILL $$", 137],
    ["no-such-program", 127],
    ["/etc/passwd", 126],
  ])("reports how a command ended: %s", async (script, exitCode) => {
    const { code } = await readSession(await sh(script));

    expect(code).toBe(exitCode);
  });

  it("has a terminal of the client's size, at the start and after each change", async () => {
    // A command may begin before its terminal has the first size.
    const untilSize = (size: string) => `until [ "$(stty size)" = "${size}" ]; do sleep 0.1; done`;
    const script = `${untilSize("24 80")}; echo sized; ${untilSize("43 132")}; exit 3`;
    const session = await sh(script, { terminal: { columns: 80, rows: 24 } });

    const [shown] = (await once(session.output, "data")) as [Buffer];
    session.resize(132, 43);

    expect(shown.toString()).toBe("sized\r\n");
    expect(await session.ended).toBe(3);
  });

  it("gets the keys of its client, and interrupts the command at Ctrl-C", async () => {
    const script = "trap 'echo interrupted; exit 4' INT; read line; echo \"<$line>\"; while :; do sleep 0.1; done";
    const session = await sh(script, { terminal: { columns: 80, rows: 24 } });
    let shown = "";
    session.output.on("data", (part: Buffer) => {
      shown += part;
      if (shown.endsWith("<é>\r\n")) session.input.write("\x03");
    });
    session.input.write("é\n");

    expect(await session.ended).toBe(4);
    expect(shown).toContain("interrupted");
  });

  it("hangs up its command when its client goes", async () => {
    const session = await sh("trap 'echo hung up >/tmp/hung-up; exit' HUP; echo begun; while :; do sleep 0.1; done");
    await once(session.output, "data");

    await session.close();

    const { out } = await readSession(await sh("until [ -s /tmp/hung-up ]; do sleep 0.1; done; cat /tmp/hung-up"));
    expect(out).toBe("hung up\n");
  });
});
