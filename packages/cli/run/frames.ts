/** A part of an output of the command, a sign of life, or the end. */
export type Frame =
  | { readonly kind: "out" | "err"; readonly data: Buffer }
  | { readonly kind: "alive" }
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "gone" };

/** More than a login prints before our script starts. */
const mostNoise = 1024 * 1024;
const longestHeader = 64;

/**
 * Reads the frames of the script that follows a run. Yields the parts of a frame as they come, so a stream that is cut
 * inside of a frame loses nothing of what came.
 */
export async function* readFrames(chunks: AsyncIterable<Buffer>, mark: string): AsyncGenerator<Frame> {
  const start = Buffer.from(`\n${mark}\n`);
  let buffer: Buffer = Buffer.alloc(0);
  let isStarted = false;
  let current: "out" | "err" = "out";
  let left = 0;
  for await (const chunk of chunks) {
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
    if (!isStarted) {
      const at = buffer.indexOf(start);
      if (at < 0 && buffer.length > mostNoise)
        throw new Error("The job's shell prints too much before it runs a command");
      if (at < 0) continue;
      isStarted = true;
      buffer = buffer.subarray(at + start.length);
    }
    while (buffer.length > 0) {
      if (left > 0) {
        const data = buffer.subarray(0, left);
        buffer = buffer.subarray(data.length);
        left -= data.length;
        yield { kind: current, data };
        continue;
      }
      const end = buffer.indexOf("\n");
      if (end < 0 && buffer.length <= longestHeader) break;
      const header = readHeader(buffer.subarray(0, Math.max(0, end)).toString("latin1"));
      buffer = buffer.subarray(end + 1);
      if (header.kind === "data") {
        current = header.stream;
        left = header.bytes;
      } else {
        yield header;
        if (header.kind !== "alive") return;
      }
    }
  }
}

type Header =
  | { readonly kind: "data"; readonly stream: "out" | "err"; readonly bytes: number }
  | { readonly kind: "alive" }
  | { readonly kind: "gone" }
  | { readonly kind: "exit"; readonly code: number };

function readHeader(line: string): Header {
  const [, letter, digits] = /^([oex]) (\d{1,15})$/.exec(line) ?? [];
  // Code 256 of a hostile job would end this program with 0.
  if (letter === "x" && Number(digits) < 256) return { kind: "exit", code: Number(digits) };
  if (letter === "o" || letter === "e")
    return { kind: "data", stream: letter === "o" ? "out" : "err", bytes: Number(digits) };
  if (line === "k") return { kind: "alive" };
  if (line === "gone") return { kind: "gone" };
  throw new Error("The stream of the run cannot be read");
}
