import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { afterAll, beforeAll } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { ensureTable, startDynamoDb } from "#tests/aws/dynamodb.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { predecessorCases } from "#tests/fixtures/predecessor-cases.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

let emulator: TestServer;
let dynamo: DynamoDBClient;
let worlds = 0;

beforeAll(async () => {
  emulator = await startDynamoDb();
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  dynamo = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials });
});

afterAll(async () => {
  dynamo.destroy();
  await emulator.stop();
});

/** Requests and reconciles on a new table of DynamoDB for each case. */
predecessorCases(async () => {
  const tableName = `berth-${worlds++}`;
  await ensureTable(dynamo, tableName);
  const table = dynamoTable({ client: dynamo, tableName });
  const world = await httpWorld({ access: { sshPort: 2222 }, wrap: (ports) => ({ ...ports, table }) });
  Object.assign(world.ctx, { table });
  await refreshCapacity(world.ctx);
  return world;
});
