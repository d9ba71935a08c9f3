import { once } from "node:events";
import { LONGEST_PACKET } from "./extensions.ts";
import { sftpSession } from "./requests.ts";

/** Serves SFTP version 3 on standard input and output. A sandbox shows only this folder and Node, so ssh2 cannot. */
async function main(): Promise<void> {
  const answer = sftpSession();
  process.stdout.on("error", () => process.exit(1));
  for await (const request of listPackets(process.stdin)) {
    if (!process.stdout.write(answer(request))) await once(process.stdout, "drain");
  }
}

/** Concatenates the chunks of a packet only once, after the last one. */
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
