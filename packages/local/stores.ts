import { join } from "node:path";
import type { SQSClient } from "@aws-sdk/client-sqs";
import type { ServiceAddress } from "#aws/client-options.ts";
import { sqsClient, sqsQueue } from "#aws/queue.ts";
import { dynamoClient, dynamoTable } from "#aws/table.ts";
import type { Log, Queue, QueueName, Table } from "#core/context.ts";
import { ensureTable, startDynamoDb } from "./dynamodb.ts";
import { repairIndexes } from "./repair.ts";
import { createQueues, startSqs } from "./sqs.ts";

export interface Stores {
  readonly table: Table;
  readonly queue: Queue;
  /** For long polls: it waits longer for an answer than the one behind `queue`. */
  readonly receiver: SQSClient;
  readonly queueUrls: Readonly<Record<QueueName, string>>;
  stop(): Promise<void>;
}

export interface StoresOptions {
  readonly home: string;
  readonly tableName: string;
  /** Whether the stack before this one ended in the middle of something. */
  readonly mayBeBroken: boolean;
  readonly log: Log;
}

/** DynamoDB on disk and SQS in memory, reached through the real clients with explicit addresses and credentials. */
export async function startStores({ home, tableName, mayBeBroken, log }: StoresOptions): Promise<Stores> {
  const [dynamoDb, sqs] = await Promise.all([startDynamoDb({ path: join(home, "db") }), startSqs()]);
  const documents = dynamoClient(addressOf(dynamoDb.endpoint));
  const [sender, receiver] = [sqsClient(addressOf(sqs.endpoint)), sqsClient(addressOf(sqs.endpoint), longPollMs)];
  const [queueUrls] = await Promise.all([createQueues(sender, sqs.endpoint), ensureTable(documents, tableName)]);
  if (mayBeBroken) log.info("indexes checked", { repaired: await repairIndexes(documents, tableName) });
  return {
    table: dynamoTable({ client: documents, tableName }),
    queue: sqsQueue({ client: sender, urls: queueUrls }),
    receiver,
    queueUrls,
    async stop() {
      for (const client of [documents, sender, receiver]) client.destroy();
      await Promise.all([dynamoDb.stop(), sqs.stop()]);
    },
  };
}

const longPollMs = 25_000;

/** The emulators take any credentials; that these are not real ones is the point. */
function addressOf(endpoint: string): ServiceAddress {
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  return { endpoint, region: "us-east-1", credentials };
}
