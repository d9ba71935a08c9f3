import type { Readable } from "node:stream";

const turnBytes = 1024 * 1024;
/** With at most 1 MiB per turn, a command can print about 50 MiB/s. */
const turnMs = 20;

/** Pauses a pipe that takes too much time of the process that reads for all runs. Call it with each chunk's size. */
export function limitPace(pipe: Readable): (bytes: number) => void {
  let size = 0;
  let turnedAt = performance.now();
  return (bytes) => {
    size += bytes;
    if (size < turnBytes) return;
    const rest = turnMs * Math.floor(size / turnBytes) - (performance.now() - turnedAt);
    size = 0;
    turnedAt = performance.now() + Math.max(0, rest);
    if (rest <= 0) return;
    pipe.pause();
    setTimeout(() => pipe.resume(), rest).unref();
  };
}
