import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { listenAt } from "../server/listen.ts";
import type { LocalIdentity } from "./identities.ts";
import { verifySignature } from "./sigv4.ts";
import { SignatureRefused } from "./sigv4-parts.ts";

export interface StsOptions {
  readonly identities: readonly LocalIdentity[];
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly port?: number;
}

export interface Sts {
  readonly endpoint: string;
  stop(): Promise<void>;
}

export async function startSts({ identities, now = Date.now, port = 0 }: StsOptions): Promise<Sts> {
  const server = createServer((request, response) => {
    answer(request, identities, now()).then(
      (identity) => send(response, 200, identityXml(identity)),
      (error: unknown) => sendRefusal(response, error),
    );
  });
  server.keepAliveTimeout = 60_000;
  const listeningPort = await listenAt(server, port);
  return {
    endpoint: `http://127.0.0.1:${listeningPort}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  identities: readonly LocalIdentity[],
  now: number,
): Promise<LocalIdentity> {
  const { method = "", url: target = "/" } = request;
  const body = await readBody(request);
  const [path, query = ""] = target.split("?", 2);
  const parameters = new URLSearchParams(method === "POST" ? body : query);
  const isKnown = parameters.get("Action") === "GetCallerIdentity" && parameters.get("Version") === "2011-06-15";
  if (path !== "/" || !isKnown) {
    throw new SignatureRefused("InvalidAction", "Could not find operation for this action and version");
  }
  return verifySignature({ method, target, headers: buildHeaders(request), body }, { keys: identities, now });
}

function buildHeaders(request: IncomingMessage): Record<string, string> {
  const entries = Object.entries(request.headersDistinct).map(([name, values = []]) => [name, values.join(",")]);
  return Object.fromEntries(entries);
}

const maxBodyBytes = 64 * 1024;

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new SignatureRefused("ValidationError", "The request is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

const badRequestCodes = new Set(["IncompleteSignature", "InvalidAction", "ValidationError"]);

function sendRefusal(response: ServerResponse, error: unknown): void {
  const refused =
    error instanceof SignatureRefused ? error : new SignatureRefused("InternalFailure", "Internal failure");
  const status = refused.code === "InternalFailure" ? 500 : badRequestCodes.has(refused.code) ? 400 : 403;
  send(response, status, errorXml(refused));
}

function send(response: ServerResponse, status: number, xml: string): void {
  response.writeHead(status, { "content-type": "text/xml", "x-amzn-requestid": randomUUID() }).end(xml);
}

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/";

function identityXml({ account, arn, userId }: LocalIdentity): string {
  const result = `<Arn>${escaped(arn)}</Arn><UserId>${escaped(userId)}</UserId><Account>${escaped(account)}</Account>`;
  const metadata = `<ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata>`;
  const inner = `<GetCallerIdentityResult>${result}</GetCallerIdentityResult>${metadata}`;
  return `<GetCallerIdentityResponse xmlns="${namespace}">${inner}</GetCallerIdentityResponse>`;
}

function errorXml({ code, message }: SignatureRefused): string {
  const error = `<Error><Type>Sender</Type><Code>${escaped(code)}</Code><Message>${escaped(message)}</Message></Error>`;
  return `<ErrorResponse xmlns="${namespace}">${error}<RequestId>${randomUUID()}</RequestId></ErrorResponse>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}
