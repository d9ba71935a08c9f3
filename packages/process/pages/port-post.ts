import { type ClientRequest, type IncomingMessage, request } from "node:http";
import type { PortAnswer, PortRequest } from "#core/ports/compute.ts";
import { RunGone } from "#core/problem.ts";
import { readPorts } from "../network/local-ports.ts";
import { readStatus } from "../runs/observation.ts";
import { findLocal } from "./port-status.ts";

/** Throws `RunGone` if the run does not live. */
export async function postToPort(directory: string, request: PortRequest): Promise<PortAnswer> {
  const { processes, supervisorLives, end, removal } = readStatus(directory);
  if (!processes?.started || !supervisorLives || end || removal !== undefined) throw new RunGone();
  const local = findLocal(readPorts(directory), request.port);
  if (!local) throw new Error(`Nothing listens on port ${request.port}`);
  return postToLocal(local.local, request);
}

const mostBytes = 1024 * 1024;
const longestMs = 5_000;

/** Returns at most 1 MiB of the answer. Throws on a timeout, for an invalid path, and for a body above 1 MiB. */
export async function postToLocal(port: number, { path, body, timeoutMs }: PortRequest): Promise<PortAnswer> {
  const bytes = Buffer.from(body);
  if (bytes.length > mostBytes) throw new Error("The request body is larger than 1 MiB");
  if (!/^\/[!-~]*$/.test(path)) throw new Error("The path is invalid");
  const headers = { "content-type": "application/json", "content-length": bytes.length };
  const signal = AbortSignal.timeout(Math.min(Math.max(timeoutMs, 1), longestMs));
  const place = { host: "127.0.0.1", port, path, method: "POST" };
  const sent = request({ ...place, headers, signal, agent: false });
  sent.end(bytes);
  const answer = await getAnswer(sent);
  return { status: answer.statusCode ?? 0, body: await readText(answer) };
}

function getAnswer(sent: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sent.once("response", resolve).once("error", reject);
  });
}

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
