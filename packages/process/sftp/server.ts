import { once } from "node:events";
import { LONGEST_PACKET } from "./extensions.ts";
import { sftpSession } from "./requests.ts";

/**
 * The program that serves SFTP version 3 on standard input and output, inside a run: it sees and may do what any other
 * process there does. By hand and not by ssh2's server: it imports nothing but its neighbours and Node, since a sandbox
 * shows no more.
 */
async function main(): Promise<void> {
  const answer = sftpSession();
  process.stdout.on("error", () => process.exit(1));
  for await (const request of packetsOf(process.stdin)) {
    if (!process.stdout.write(answer(request))) await once(process.stdout, "drain");
  }
}

/** Whole packets, without the length in front. */
async function* packetsOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting = Buffer.alloc(0);
  for await (const part of stream) {
    waiting = Buffer.concat([waiting, part]);
    while (waiting.length >= 4 && waiting.length >= 4 + lengthOf(waiting)) {
      const end = 4 + lengthOf(waiting);
      yield waiting.subarray(4, end);
      waiting = waiting.subarray(end);
    }
  }
}

function lengthOf(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > LONGEST_PACKET) process.exit(1);
  return length;
}

await main();
