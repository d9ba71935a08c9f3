import { Duplex, PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { type Frame, frame, frameReader } from "#relay/frames.ts";
import { GROWN_WINDOW_BYTES, WINDOW_BYTES } from "#relay/receive-window.ts";
import { tunnel } from "./tunnel.ts";

/** A tunnel whose other side is the test. */
function openTunnel(times: Partial<Parameters<typeof tunnel>[1]> = {}) {
  const [sent, said] = [new PassThrough(), new PassThrough()];
  const socket = Duplex.from({ writable: sent, readable: said }).on("error", () => undefined);
  const read = frameReader();
  const frames: Frame[] = [];
  sent.on("data", (part: Buffer) => frames.push(...read(part)));
  const say = async (...all: Buffer[]) => {
    for (const bytes of all) said.write(bytes);
    for (let turns = 0; turns < 5; turns += 1) await turn();
  };
  return { opened: tunnel(socket, { idleMs: 60_000, openWithinMs: 60_000, ...times }), frames, say };
}

const message = (id: number, content: unknown) => frame("message", id, Buffer.from(JSON.stringify(content)));
const request = { words: ["sh"], env: { A: "b" } };

async function openSession(hello = "") {
  const pair = openTunnel();
  await pair.say(frame("hello", 0, Buffer.from(hello)));
  const opening = pair.opened.open(request);
  await pair.say(message(1, { isOpen: true }));
  return { ...pair, session: await opening };
}

describe("a program over a tunnel", () => {
  it("begins by a request with its words, variables and terminal", async () => {
    const { opened, frames, say } = openTunnel();

    const opening = opened.open({ ...request, text: "line 1\nline 2", terminal: { columns: 91, rows: 17 } });
    await say(message(1, { isOpen: true }));
    await opening;

    expect(frames.map(({ kind, id }) => [kind, id])).toEqual([
      ["open", 1],
      ["message", 1],
    ]);
    expect(JSON.parse(String(frames[1]?.content))).toEqual({
      words: ["sh", "line 1\nline 2"],
      env: { A: "b" },
      terminal: { columns: 91, rows: 17 },
    });
  });

  it("delivers all output after its exit code, and standard error separately", async () => {
    const { session, say } = await openSession();

    await say(
      frame("errors", 1, Buffer.from("wrong")),
      message(1, { exitCode: 3 }),
      frame("data", 1, Buffer.from("out")),
    );
    await say(frame("end", 1), frame("errors", 1));

    expect([await session.ended, await text(session.output), await text(session.errors)]).toEqual([3, "out", "wrong"]);
  });

  it("receives signals and sizes, and closes its stream only once", async () => {
    const { session, frames, say } = await openSession();

    for (const columns of [100, 120]) session.resize(columns, 33);
    await say();
    await session.signal("SIGTERM");
    await session.close();
    await session.close();
    await session.signal("SIGTERM");
    await say();

    const after = frames.slice(2).map(({ kind, content }) => [kind, String(content)]);
    expect(after).toEqual([
      ["message", '{"resize":{"columns":120,"rows":33}}'],
      ["message", '{"signal":"SIGTERM"}'],
      ["close", ""],
    ]);
    await expect(session.ended).rejects.toThrow("cut off");
  });

  it("stops at its window if the client does not read, and continues after an acknowledgement", async () => {
    const { session, frames, say, opened } = await openSession();
    const part = Buffer.alloc(32 * 1024);
    const all = Array.from({ length: WINDOW_BYTES / part.length }, () => frame("data", 1, part));

    const sumAcknowledged = () =>
      frames.filter(({ kind }) => kind === "more").reduce((sum, { content }) => sum + content.readUInt32BE(), 0);

    await say(...all);
    const early = sumAcknowledged();
    session.output.resume();
    await say();

    expect([early < WINDOW_BYTES, sumAcknowledged(), opened.isEnded()]).toEqual([true, WINDOW_BYTES, false]);
  });

  it.each([
    ["may then hold a larger window", "growth", GROWN_WINDOW_BYTES, false],
    ["may not hold more than that", "growth", GROWN_WINDOW_BYTES + 1, true],
    ["of an older program keeps its window", "", WINDOW_BYTES + 1, true],
  ])("whose client reads quickly %s", async (_, hello, heldBytes, isEnded) => {
    const { session, opened, say } = await openSession(hello);
    session.ended.catch(() => undefined);
    session.output.resume();
    const part = Buffer.alloc(64 * 1024);
    for (let sent = 0; sent < 32 * WINDOW_BYTES; sent += part.length) await say(frame("data", 1, part));

    session.output.pause();
    // The stream of Node takes one part more.
    await say(frame("data", 1, part));
    for (let sent = 0; sent < heldBytes; sent += part.length) {
      await say(frame("data", 1, part.subarray(0, heldBytes - sent)));
    }

    expect(opened.isEnded()).toBe(isEnded);
    await session.close();
  });

  it("gives the place of its larger window back at its end, even if its session is never closed", async () => {
    const { opened, frames, say } = openTunnel();
    await say(frame("hello", 0, Buffer.from("growth")));
    const part = Buffer.alloc(64 * 1024);
    const grown: number[] = [];
    for (let id = 1; id <= 6; id += 1) {
      const opening = opened.open(request);
      await say(message(id, { isOpen: true }));
      const { output, errors } = await opening;
      for (const stream of [output, errors]) stream.resume();
      for (let sent = 0; sent < 17 * WINDOW_BYTES; sent += part.length) await say(frame("data", id, part));
      const allowed = frames.filter((sent) => sent.kind === "more" && sent.id === id);
      grown.push(Math.max(...allowed.map(({ content }) => content.readUInt32BE())));
      await say(message(id, { exitCode: 0 }), frame("end", id), frame("errors", id));
    }

    expect(grown).toEqual(Array(6).fill(GROWN_WINDOW_BYTES - WINDOW_BYTES / 2));
    opened.close();
  });

  it("ends with its tunnel, and its client gets an error", async () => {
    const { session, opened, say } = await openSession();

    opened.close();
    await say();

    await expect(session.ended).rejects.toThrow("cut off");
    expect(await text(session.output)).toBe("");
    await expect(opened.open(request)).rejects.toThrow("cut off");
  });

  it("rejects if the pod does not start it", async () => {
    const { opened, say } = openTunnel();
    const opening = opened.open(request);
    opening.catch(() => undefined);

    await say(frame("close", 1));

    await expect(opening).rejects.toThrow("cut off");
  });

  it("is closed if it does not answer in time", async () => {
    const { opened, frames } = openTunnel({ openWithinMs: 20 });

    await expect(opened.open(request)).rejects.toThrow("cut off");

    await expect.poll(() => frames.at(-1)).toMatchObject({ kind: "close", id: 1 });
  });
});

it("while the other side does not read, input waits at its client, and only the last size is sent", async () => {
  const [sent, said] = [new PassThrough({ highWaterMark: 1 }), new PassThrough()];
  const opened = tunnel(Duplex.from({ writable: sent, readable: said }));
  const opening = opened.open(request);
  said.write(message(1, { isOpen: true }));
  const session = await opening;
  let takenBytes = 0;
  const typeOn = () =>
    void session.input.write("x", () => {
      takenBytes += 1;
      if (takenBytes < WINDOW_BYTES) typeOn();
    });

  typeOn();
  for (let turns = 0; turns < 1_000; turns += 1) await turn();
  for (let columns = 1; columns <= 1_000; columns += 1) session.resize(columns, 24);
  const stoppedAt = takenBytes;
  const frames = frameReader();
  const sizes: string[] = [];
  sent.on("data", (part: Buffer) => {
    for (const { kind, content } of frames(part)) if (kind === "message") sizes.push(String(content));
  });
  await expect.poll(() => sizes.length).toBe(2);

  expect(stoppedAt).toBeLessThan(WINDOW_BYTES);
  expect(sizes[1]).toBe('{"resize":{"columns":1000,"rows":24}}');
  opened.close();
});

it("small parts that nobody reads are kept together", async () => {
  const { session, say } = await openSession();

  await say(...Array.from({ length: 1_000 }, () => frame("data", 1, Buffer.from("x"))));
  const parts: Buffer[] = [];
  session.output.on("data", (part: Buffer) => parts.push(part));
  await say(message(1, { exitCode: 0 }), frame("end", 1), frame("errors", 1));

  expect(Buffer.concat(parts)).toHaveLength(1_000);
  expect(parts.length).toBeLessThan(50);
});

describe("a port over a tunnel", () => {
  it("carries both directions, each of which ends separately", async () => {
    const { opened, frames, say } = openTunnel();
    const dialing = opened.dial(8080);
    await say(message(1, { isOpen: true }));
    const stream = await dialing;

    stream.end("asked");
    await say(frame("data", 1, Buffer.from("answered")), frame("end", 1));

    expect(await text(stream)).toBe("answered");
    expect(frames.slice(1).map(({ kind, content }) => [kind, String(content)])).toEqual([
      ["message", '{"port":8080}'],
      ["data", "asked"],
      ["end", ""],
    ]);
  });

  it("rejects if nothing listens", async () => {
    const { opened, say } = openTunnel();
    const dialing = opened.dial(9);
    dialing.catch(() => undefined);

    await say(frame("close", 1));

    await expect(dialing).rejects.toThrow("Nothing answered on that port");
  });
});

describe("a tunnel is closed when its other side sends", () => {
  it.each([
    ["more data than the window", Array.from({ length: 9 }, () => frame("data", 1, Buffer.alloc(64 * 1024)))],
    ["an empty part", [frame("data", 1)]],
    ["data after its end", [frame("end", 1), frame("data", 1, Buffer.from("x"))]],
    ["an acknowledgement of unsent bytes", [frame("more", 1, Buffer.from([0, 0, 0, 1]))]],
    ["an acknowledgement without a count", [frame("more", 1)]],
    ["a message that is no JSON", [frame("message", 1, Buffer.from("{"))]],
    ["a message that is no answer", [message(1, null)]],
    ["a long message", [message(1, { exitCode: 0, more: "x".repeat(300) })]],
    ["two starts of a program", [message(1, { isOpen: true })]],
    ["an exit code that is no number", [message(1, { exitCode: "0" })]],
    ["two ends of a program", [message(1, { exitCode: 0 }), message(1, { exitCode: 0 })]],
    ["a frame of an unknown kind", [Buffer.from([0, 0, 0, 0, 9, 0, 0, 0, 1])]],
    ["a frame of 4 GB", [Buffer.from([255, 255, 255, 255, 2, 0, 0, 0, 1])]],
  ])("%s", async (_, frames) => {
    const { session, opened, say } = await openSession();
    session.ended.catch(() => undefined);

    await say(...frames);

    expect(opened.isEnded()).toBe(true);
  });
});

it("frames for a stream that has ended are ignored", async () => {
  const { session, opened, say } = await openSession();
  await session.close();

  await say(frame("data", 1, Buffer.from("late")), message(1, { exitCode: 0 }), frame("close", 7));

  expect(opened.isEnded()).toBe(false);
});

it("a tunnel without streams closes after its idle time, and one with a stream does not", async () => {
  const times = { idleMs: 20 };
  const [used, idle] = [openTunnel(times), openTunnel(times)];
  void used.opened.open(request).then((session) => session.ended.catch(() => undefined));
  await used.say(message(1, { isOpen: true }));

  await idle.opened.ended;

  expect(used.opened.isEnded()).toBe(false);
  used.opened.close();
});
