import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import { frame } from "./frames.ts";
import { multiplexer } from "./multiplexer.ts";
import { limitPace } from "./pace.ts";

it("a pipe pauses for many small frames as for many bytes, and then continues", async () => {
  const pipe = new PassThrough();
  const streams = multiplexer({ send: () => undefined, onOpen: (stream) => void stream.destroy() });
  const pace = limitPace(pipe);
  let taken = 0;
  pipe.on("data", (part: Buffer) => {
    taken += 1;
    pace(streams.take(part));
  });
  const opens = (from: number) =>
    Buffer.concat(Array.from({ length: 100 }, (_, n) => [frame("open", from + n), frame("close", from + n)]).flat());

  pipe.write(opens(1));
  const wasHeldBack = pipe.isPaused();
  pipe.write(opens(1001));

  expect([wasHeldBack, taken]).toEqual([true, 1]);
  await expect.poll(() => taken).toBe(2);
});
