import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { ApiAccess } from "./exchange.ts";

/** A server on 127.0.0.1 that answers as a test says, with a certificate of its own. */
export interface LoopbackServer {
  readonly access: ApiAccess;
  /** Each request that came, in its order. */
  readonly requests: readonly { readonly method: string; readonly url: string; readonly authorization: string }[];
  close(): Promise<void>;
}

export type Answering = (request: IncomingMessage, response: ServerResponse, count: number) => void;

export async function loopbackServer(
  answer: Answering,
  options: Partial<ApiAccess> = {},
  upgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): Promise<LoopbackServer> {
  const { key, cert } = selfSigned();
  const requests: { method: string; url: string; authorization: string }[] = [];
  const server = createServer({ key, cert, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const { method = "", url = "", headers } = request;
    requests.push({ method, url, authorization: headers.authorization ?? "" });
    request.resume();
    answer(request, response, requests.length);
  });
  const upgraded = new Set<Duplex>();
  if (upgrade) {
    server.on("upgrade", (request, socket, head) => {
      upgraded.add(socket.on("error", () => undefined));
      upgrade(request, socket, head);
    });
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    access: { url, ca: cert, token: async () => "secret-token", ...options },
    requests,
    async close() {
      server.closeAllConnections();
      for (const socket of upgraded) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

export function answerJson(response: ServerResponse, body: object, status = 200): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

export function refuse(response: ServerResponse, status: number, reason: string, message = ""): void {
  answerJson(response, { kind: "Status", status: "Failure", code: status, reason, message }, status);
}

/** Of an elliptic key, for 127.0.0.1, from yesterday on (RFC 5280). */
export function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ecdsaWithSha256 = sequence(bytes(0x06, Buffer.from("2a8648ce3d040302", "hex")));
  const commonName = sequence(bytes(0x06, Buffer.from("550403", "hex")), bytes(0x0c, Buffer.from("loopback")));
  const name = sequence(bytes(0x31, commonName));
  const address = bytes(0x04, sequence(bytes(0x87, Buffer.from([127, 0, 0, 1]))));
  const alternativeName = sequence(bytes(0x06, Buffer.from("551d11", "hex")), address);
  const day = 24 * 3_600_000;
  const certificate = sequence(
    bytes(0xa0, bytes(0x02, Buffer.from([2]))),
    bytes(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ecdsaWithSha256,
    name,
    sequence(time(Date.now() - day), time(Date.now() + day)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    bytes(0xa3, sequence(alternativeName)),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign("sha256", certificate, privateKey)]);
  const der = sequence(certificate, ecdsaWithSha256, bytes(0x03, signature));
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n"),
  };
}

function sequence(...parts: Buffer[]): Buffer {
  return bytes(0x30, Buffer.concat(parts));
}

function time(at: number): Buffer {
  const digits = new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, "");
  return bytes(0x18, Buffer.from(digits));
}

/** One element of DER: its tag, its length, its content. */
function bytes(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const hex = length.toString(16);
  const long = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 + long.length]), long, content]);
}
