import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  ResourceInUseException,
} from "@aws-sdk/client-dynamodb";
import dynalite from "dynalite";
import { tableDefinition } from "#aws/dynamodb/table-definition.ts";
import type { TestServer } from "./test-server.ts";
import { addTransactions } from "./transactions.ts";

/** DynamoDB by dynalite, in memory, on a free port of this address. */
export async function startDynamoDb(address = "127.0.0.1"): Promise<TestServer> {
  const server = dynalite({ createTableMs: 0 });
  addTransactions(server);
  server.keepAliveTimeout = 60_000;
  server.listen(0, address);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://${address}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 300).unref();
      }),
  };
}

const activeWithinMs = 10_000;

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
  throw new Error(`The table ${tableName} was never finished`);
}
