import { once } from "node:events";
import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
} from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { tableDefinition } from "#aws/table-definition.ts";

/** A server that the real clients talk to. */
export interface Emulator {
  readonly endpoint: string;
  stop(): Promise<void>;
}

/** DynamoDB by dynalite, on 127.0.0.1 and a free port; kept on disk under `path`, else in memory. */
export async function startDynamoDb({ path }: { readonly path?: string } = {}): Promise<Emulator> {
  const server = dynalite({ ...(path === undefined ? {} : { path }), createTableMs: 0 });
  const [handle] = server.listeners("request") as RequestListener[];
  server.removeAllListeners("request");
  server.on("request", (request, response) => handle && passWhole(request, response, handle));
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 300).unref();
      }),
  };
}

const activeWithinMs = 2_000;

/** Makes the table unless it is there, and waits until it can be written to: until then it counts as not found. */
export async function ensureTable(client: DynamoDBClient, tableName: string): Promise<void> {
  await client.send(new CreateTableCommand(tableDefinition(tableName))).catch((error: unknown) => {
    if (!(error instanceof ResourceInUseException)) throw error;
  });
  const end = performance.now() + activeWithinMs;
  while (performance.now() < end) {
    const { Table } = await client.send(new DescribeTableCommand({ TableName: tableName }));
    if (Table?.TableStatus === "ACTIVE") return;
    await sleep(5);
  }
  throw new Error(`The table ${tableName} was never finished. Remove the directory db of this home: it is empty.`);
}

// As much as dynalite takes itself.
const maxBytes = 16 * 1024 * 1024;

/** Hands on only requests that arrived whole: dynalite throws, and so ends the process, when an upload is cut off. */
function passWhole(request: IncomingMessage, response: ServerResponse, handle: RequestListener): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on("error", () => response.destroy());
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > maxBytes) request.destroy();
    chunks.push(chunk);
  });
  request.on("end", () => {
    const { method, url, headers } = request;
    const whole = Object.assign(Readable.from(chunks), { method, url, headers });
    handle(whole as unknown as IncomingMessage, response);
  });
}
