import { duplexPair } from "node:stream";
import fc from "fast-check";
import { expect, it } from "vitest";
import {
  KEPT_OUTPUT,
  numberBytes,
  offsetBytes,
  sizeBytes,
  TERMINAL_WINDOW,
  type TerminalFrame,
  terminalFrame,
  terminalFrameReader,
} from "#relay/terminal-frames.ts";
import { terminalHolder } from "./terminal-holder.ts";

const hours = { unseenMs: 3_600_000, endedMs: 3_600_000 };

function attach(offset?: number): Buffer {
  return terminalFrame("attach", Buffer.concat([sizeBytes({ columns: 80, lines: 24 }), offsetBytes(offset)]));
}

/** A holder of a terminal that takes no input unless `write` does, and what it does. */
function held(times = hours, write: (bytes: Buffer, done: () => void) => void = () => undefined) {
  const over = Promise.withResolvers<string>();
  const terminal = {
    write,
    pause: () => undefined,
    resize: () => undefined,
    hangUp: () => over.resolve("hung up"),
  };
  const holder = terminalHolder(terminal, () => over.resolve("over"), times);
  const view = (offset?: number) => {
    const [near, far] = duplexPair();
    const frames: TerminalFrame[] = [];
    const read = terminalFrameReader();
    near.on("data", (part: Buffer) => frames.push(...read(part)));
    holder.join(far);
    near.write(attach(offset));
    return { near, frames };
  };
  return { holder, over: over.promise, view };
}

it("a terminal that no viewer opens is hung up", async () => {
  expect(await held({ unseenMs: 10, endedMs: 3_600_000 }).over).toBe("hung up");
});

it("a terminal that its viewer left is hung up", async () => {
  const { over, view } = held({ unseenMs: 300, endedMs: 3_600_000 });
  const { near, frames } = view();
  await expect.poll(() => frames.length).toBe(1);
  near.end();

  expect(await over).toBe("hung up");
});

it("an ended terminal waits for a viewer who has not acknowledged its last output, and shows it again", async () => {
  const { holder, over, view } = held();
  const first = view();
  holder.output(Buffer.from("last words"));
  holder.exited(3);
  await expect.poll(() => first.frames.map(({ kind }) => kind)).toEqual(["hello", "output", "exit"]);
  first.near.destroy();

  const second = view();
  await expect.poll(() => second.frames.length).toBe(3);
  second.near.write(terminalFrame("ack", offsetBytes("last words".length)));
  second.near.end();

  expect(String(second.frames[1]?.content)).toBe("last words");
  expect(second.frames[2]?.content).toEqual(numberBytes(3));
  expect(await over).toBe("over");
});

it("a terminal whose run has ended is over at once", async () => {
  const { holder, over } = held();
  holder.exited(137);

  expect(await over).toBe("over");
});

it("keys that follow each other are acknowledged once, after their echo", async () => {
  const { holder, view } = held(hours, (bytes, done) => {
    done();
    holder.output(bytes);
  });
  const { near, frames } = view();
  for (const key of ["a", "b"]) near.write(terminalFrame("input", Buffer.from(key)));

  await expect.poll(() => frames.map(({ kind }) => kind)).toEqual(["hello", "output", "output", "taken"]);
  expect(frames.at(-1)?.content).toEqual(numberBytes(2));
});

it("a quarter of the window is acknowledged at once", async () => {
  const { view } = held(hours, (_, done) => done());
  const { near, frames } = view();
  for (let n = 0; n < 16; n++) near.write(terminalFrame("input", Buffer.alloc(TERMINAL_WINDOW / 4)));

  await expect.poll(() => frames.length).toBe(17);
  expect(frames.at(-1)).toEqual({ kind: "taken", content: numberBytes(TERMINAL_WINDOW / 4) });
});

it("a viewer that comes later gets the last output from the byte that it names, however it was written", async () => {
  const sizes = fc.array(fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 2 * KEPT_OUTPUT })), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.nat({ max: TERMINAL_WINDOW }), async (lengths, back) => {
      const { holder, view } = held();
      const parts = lengths.map((length, n) => Buffer.alloc(length, `part ${n}, `));
      for (const part of parts) holder.output(part);
      const all = Buffer.concat(parts);
      const offset = Math.max(0, all.length - back);

      const { frames } = view(offset);
      const shown = () => Buffer.concat(frames.flatMap(({ kind, content }) => (kind === "output" ? [content] : [])));
      await expect.poll(() => frames.length).toBe(offset < all.length ? 2 : 1);

      expect(frames[0]).toEqual({ kind: "hello", content: offsetBytes(offset) });
      expect(shown().equals(all.subarray(offset))).toBe(true);
    }),
    { numRuns: 40 },
  );
});

it("a viewer that types more than the window is cut", async () => {
  const { view } = held();
  const { near } = view();
  const closed = new Promise((resolve) => near.once("end", () => resolve("cut")).once("close", () => resolve("cut")));
  for (let n = 0; n < 3; n++) near.write(terminalFrame("input", Buffer.alloc(TERMINAL_WINDOW / 2)));

  expect(await closed).toBe("cut");
});

it.each([
  ["an unknown kind", Buffer.from([0x3f, 0, 0, 0, 0])],
  ["a frame above the window", Buffer.from([0x69, 0x7f, 0, 0, 0])],
  ["a size without its bytes", terminalFrame("size")],
])("a viewer that sends %s is cut", async (_, bytes) => {
  const { view } = held();
  const { near } = view();
  const closed = new Promise((resolve) => near.once("end", () => resolve("cut")).once("close", () => resolve("cut")));
  near.write(bytes);

  expect(await closed).toBe("cut");
});
