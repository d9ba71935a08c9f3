import { type IncomingMessage, request } from "node:http";
import { Duplex, Writable } from "node:stream";
import type { PortAnswer, PortRequest } from "#core/ports/compute.ts";
import type { ApiClient } from "../client/api-client.ts";
import { keepOpen, podFlow } from "./pod-flow.ts";

const mostBytes = 1024 * 1024;
const longestMs = 5_000;

/** Posts JSON to a port of a pod and returns at most 1 MiB of the answer. Throws after the time limit. */
export async function postToPod(client: ApiClient, pod: string, portRequest: PortRequest): Promise<PortAnswer> {
  const { port, path, body, timeoutMs } = portRequest;
  const bytes = Buffer.from(body);
  if (bytes.length > mostBytes) throw new Error("The request body is larger than 1 MiB");
  if (!/^\/[!-~]*$/.test(path)) throw new Error("The path is invalid");
  const signal = AbortSignal.timeout(Math.min(Math.max(timeoutMs, 1), longestMs));
  const stream = await dialPod(client, pod, port);
  try {
    const headers = { host: `localhost:${port}`, "content-type": "application/json", "content-length": bytes.length };
    const sent = request({ createConnection: () => stream, method: "POST", path, headers, signal });
    sent.end(bytes);
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      sent.once("response", resolve).on("error", reject);
    });
    return { status: answer.statusCode ?? 0, body: await readText(answer) };
  } finally {
    stream.destroy();
  }
}

const portBytes = 2;

/**
 * Connects to a port of a pod. Channel 0 carries bytes and channel 1 an error text, both after the port's number. There
 * is no half-close (Kubernetes, remotecommand v4), so the connection lasts until the pod's side ends.
 */
export async function dialPod(client: ApiClient, pod: string, port: number): Promise<Duplex> {
  const socket = await client.socket(`${pod}/portforward?ports=${port}`, "v4.channel.k8s.io");
  keepOpen(socket);
  const flow = podFlow(socket);
  const { readable, push } = flow.stream();
  const portBytesLeft = [portBytes, portBytes];
  const writable = new Writable({
    write: (bytes: Buffer, _, done) => socket.send(Buffer.concat([Buffer.from([0]), bytes]), (error) => done(error)),
  });
  const stream = Duplex.from({ readable, writable });
  socket.on("message", (message: Buffer) => {
    const [channel] = message;
    if (channel === undefined) return;
    const left = portBytesLeft[channel] ?? 0;
    const bytes = message.subarray(1 + left);
    portBytesLeft[channel] = Math.max(0, left - (message.length - 1));
    if (channel === 0 && bytes.length > 0) push(bytes);
    if (channel === 1 && bytes.length > 0) stream.destroy(new Error("Nothing answered on that port"));
  });
  socket.once("close", () => flow.end());
  stream.once("close", () => socket.terminate());
  socket.resume();
  return stream;
}

/** Returns the text up to the limit, and stops reading there. */
async function readText(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes >= mostBytes) break;
  }
  return Buffer.concat(parts).subarray(0, mostBytes).toString("utf8");
}
