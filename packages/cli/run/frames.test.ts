import { expect, test } from "vitest";
import { type Frame, readFrames } from "./frames.ts";

async function read(...chunks: readonly string[]): Promise<string[]> {
  const shown: string[] = [];
  const bytes = async function* () {
    for (const chunk of chunks) yield Buffer.from(chunk);
  };
  for await (const frame of readFrames(bytes(), "mark")) shown.push(describe(frame));
  return shown;
}

function describe(frame: Frame): string {
  if ("data" in frame) return `${frame.kind} ${frame.data}`;
  return frame.kind === "exit" ? `exit ${frame.code}` : frame.kind;
}

test("frames are read in any parts, and the output of a login is skipped", async () => {
  expect(await read("hello\n\nma", "rk\no 3\nab", "ck\ne 1\nx", "x 7\nx 8\n")).toEqual([
    "out ab",
    "out c",
    "alive",
    "err x",
    "exit 7",
  ]);
});

test.each(["x 256", "x -1", "x 07x", "o 9999999999999999", "y 1", ""])(
  "a header of a hostile job is refused: %j",
  async (header) => {
    await expect(read(`\nmark\n${header}\n`)).rejects.toThrow("The stream of the run cannot be read");
  },
);
