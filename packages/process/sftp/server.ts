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
  for await (const request of listPackets(process.stdin)) {
    if (!process.stdout.write(answer(request))) await once(process.stdout, "drain");
  }
}

/** Yields whole packets, without the length in front. What came of a packet is put together once, when all of it is there. */
async function* listPackets(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let missing = 4;
  for await (const part of stream) {
    waiting.push(part);
    missing -= part.length;
    if (missing > 0) continue;
    let rest = waiting.length === 1 ? part : Buffer.concat(waiting);
    while (rest.length >= 4 && rest.length >= 4 + getLength(rest)) {
      const end = 4 + getLength(rest);
      yield rest.subarray(4, end);
      rest = rest.subarray(end);
    }
    waiting = rest.length > 0 ? [rest] : [];
    missing = (rest.length >= 4 ? 4 + getLength(rest) : 4) - rest.length;
  }
}

function getLength(bytes: Buffer): number {
  const length = bytes.readUInt32BE(0);
  if (length < 1 || length > LONGEST_PACKET) process.exit(1);
  return length;
}

await main();
