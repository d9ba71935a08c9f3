import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type Arrived, type KnownKey, wrongSignature } from "./check-signature.ts";
import type { TestServer } from "./test-server.ts";

export interface FakeAnswer {
  readonly status: number;
  readonly body: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** How the next calls go wrong, each in its turn: with an answer, or without one ever. */
export type Trouble = FakeAnswer | "silence" | "hang up";

export interface FakeService extends TestServer {
  readonly calls: Arrived[];
  /** Which keys it knows from now on; a caller with another one is refused. */
  knowKeys(keys: readonly KnownKey[]): void;
  trouble(next: readonly Trouble[]): void;
}

export const fakeKey: KnownKey = { accessKeyId: "AKIATEST", secretAccessKey: "secret", sessionToken: "session" };

/** Variables by which the SDK and programs use `fakeKey`. */
export const fakeKeyVariables = {
  AWS_ACCESS_KEY_ID: fakeKey.accessKeyId,
  AWS_SECRET_ACCESS_KEY: fakeKey.secretAccessKey,
  AWS_SESSION_TOKEN: fakeKey.sessionToken ?? "",
} as const;

/** Starts a service of AWS on a free port. It checks every signature before it answers. */
export async function startFakeService(
  service: string,
  refuse: (code: string) => FakeAnswer,
  answer: (request: Arrived) => FakeAnswer,
  address = "127.0.0.1",
): Promise<FakeService> {
  const calls: Arrived[] = [];
  let keys: readonly KnownKey[] = [fakeKey];
  let troubles: Trouble[] = [];
  const server = createServer(async (message, response) => {
    const request = await getArrived(message);
    calls.push(request);
    const trouble = troubles.shift();
    if (trouble === "silence") return;
    if (trouble === "hang up") return void message.socket.destroy();
    const wrong = wrongSignature(request, service, keys);
    const { status, body, headers = {} } = trouble ?? (wrong === undefined ? answer(request) : refuse(wrong));
    response.writeHead(status, headers).end(body);
  });
  server.listen(0, address);
  await once(server, "listening");
  return {
    endpoint: `http://${address}:${(server.address() as AddressInfo).port}`,
    calls,
    knowKeys(newKeys) {
      keys = newKeys;
    },
    trouble(next) {
      troubles = [...next];
    },
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** SST's packages bring other types of Node, in which a message lacks some fields. */
type Message = Pick<IncomingMessage, "method" | "url" | "headers"> & AsyncIterable<Uint8Array>;

async function getArrived(message: Message): Promise<Arrived> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of message) chunks.push(chunk);
  const [path = "", query = ""] = (message.url ?? "").split("?");
  const headers = message.headers as Record<string, string | undefined>;
  return { method: message.method ?? "", path, query, headers, body: Buffer.concat(chunks) };
}
