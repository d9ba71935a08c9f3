import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll } from "vitest";
import { sqsClient, sqsQueue } from "#aws/queue.ts";
import { dynamoClient, dynamoTable } from "#aws/table.ts";
import { ensureTable, startDynamoDb } from "#aws/test-servers/dynamodb.ts";
import { createQueues, startSqs } from "#aws/test-servers/sqs.ts";
import type { TestServer } from "#aws/test-servers/test-server.ts";
import { httpWorld } from "#testing/http-world.ts";
import { predecessorCases } from "#testing/predecessor-cases.ts";

const address = (emulator: TestServer) => ({
  endpoint: emulator.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined },
});
let emulators: TestServer[];
let dynamo: DynamoDBClient;
let sqs: SQSClient;
let urls: Awaited<ReturnType<typeof createQueues>>;
let worlds = 0;

beforeAll(async () => {
  const [dynamoDb, queues] = await Promise.all([startDynamoDb(), startSqs()]);
  emulators = [dynamoDb, queues];
  dynamo = dynamoClient(address(dynamoDb));
  sqs = sqsClient(address(queues));
  urls = await createQueues(sqs, queues);
});

afterAll(async () => {
  dynamo.destroy();
  sqs.destroy();
  await Promise.all(emulators.map((emulator) => emulator.stop()));
});

/** A table of its own for each case. */
predecessorCases(async () => {
  const tableName = `berth-${worlds++}`;
  await ensureTable(dynamo, tableName);
  const table = dynamoTable({ client: dynamo, tableName });
  const queue = sqsQueue({ client: sqs, urls });
  return httpWorld({ wrap: (ports) => ({ ...ports, table, queue }) });
});
