import type { Duplex } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { frame } from "./frames.ts";
import { MOST_STREAMS, multiplexer } from "./multiplexer.ts";
import { WINDOW_BYTES } from "./receive-window.ts";

describe("many streams over one pipe", () => {
  it("carry data in both directions, in order, and end each direction separately", async () => {
    const { near, opened } = pair();
    const stream = near.open();
    const [otherStream] = opened;
    const words = Buffer.from(Array.from({ length: 3 * WINDOW_BYTES }, (_, n) => n % 251));

    stream?.end(words);
    const heard = otherStream && (await buffer(otherStream));
    otherStream?.end("answered");

    expect(heard?.equals(words)).toBe(true);
    expect(stream && String(await buffer(stream))).toBe("answered");
  });

  it("stop only an unread stream, at one window", async () => {
    const { near, opened, sent } = pair();
    const [slow, quick] = [near.open(), near.open()];

    slow?.write(Buffer.alloc(10 * WINDOW_BYTES));
    quick?.end("goes on");
    const heard = opened[1] && String(await buffer(opened[1]));
    await turn();

    expect(heard).toBe("goes on");
    expect(sent()).toBeLessThan(2 * WINDOW_BYTES);
  });

  it("count the bytes that wait on either side", async () => {
    const { near, far, opened } = pair();
    const words = Buffer.alloc(3 * WINDOW_BYTES);

    near.open()?.end(words);
    await turn();
    const held = [near.heldBytes(), far.heldBytes()];
    for (const stream of opened) await buffer(stream);

    expect(held[0]).toBeGreaterThanOrEqual(WINDOW_BYTES);
    expect(held[1]).toBeGreaterThanOrEqual(WINDOW_BYTES);
    expect([near.heldBytes(), far.heldBytes()]).toEqual([0, 0]);
  });

  it("end with the pipe, or with their other side", async () => {
    const { near, far, opened } = pair();
    const [stream, two] = [near.open(), near.open()];

    opened[0]?.destroy();
    const [isOneGone, isTwoGone] = [stream?.destroyed, two?.destroyed];
    far.close();

    expect([isOneGone, isTwoGone, opened[1]?.destroyed]).toEqual([true, false, true]);
  });

  it("are limited in number on both sides", () => {
    const { near, far, opened } = pair();
    const streams = Array.from({ length: MOST_STREAMS + 1 }, () => near.open());

    expect([opened.length, streams.at(-1)]).toEqual([MOST_STREAMS, undefined]);
    expect(() => far.take(frame("open", 4_000))).toThrow("This side may not open another stream");
  });

  it.each([
    ["more than the window", Array.from({ length: 5 }, () => frame("data", 1, Buffer.alloc(WINDOW_BYTES / 4)))],
    ["a part of nothing", [frame("data", 1, Buffer.alloc(0))]],
    ["data behind its end", [frame("end", 1), frame("data", 1, Buffer.from("more"))]],
    ["room that was not taken", [frame("more", 1, Buffer.from([0, 0, 0, 1]))]],
    ["a number without its bytes", [frame("more", 1)]],
    ["a stream that is open already", [frame("open", 1)]],
    ["no frame", [Buffer.from([255, 0, 0, 0, 2, 0, 0, 0, 1])]],
  ])("are not believed to send %s", (_, frames) => {
    const far = multiplexer({ send: () => undefined, onOpen: () => undefined });
    far.take(frame("open", 1));

    expect(() => {
      for (const frame of frames) far.take(frame);
    }).toThrow();
  });

  it("cannot be opened by a side without permission", () => {
    const near = multiplexer({ send: () => undefined });

    expect(() => near.take(frame("open", 1))).toThrow("This side may not open another stream");
  });
});

/** Connects two sides. Returns the streams that the far one was asked to open, and the bytes sent there. */
function pair() {
  const opened: Duplex[] = [];
  let bytes = 0;
  const far = multiplexer({ send: (part) => near.take(part), onOpen: (stream) => opened.push(stream) });
  const near = multiplexer({
    send: (part) => {
      bytes += part.length;
      far.take(part);
    },
  });
  return { near, far, opened, sent: () => bytes };
}
