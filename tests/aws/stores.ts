import { randomUUID } from "node:crypto";
import { DeleteMessageCommand, ReceiveMessageCommand } from "@aws-sdk/client-sqs";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { sqsClient, sqsQueue } from "#aws/sqs/queue.ts";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import type { Table } from "#core/ports/table.ts";
import { ensureTable } from "./dynamodb.ts";
import { patient } from "./patient.ts";
import { createQueues } from "./sqs.ts";
import type { TestServer } from "./test-server.ts";

/** A new table and new queues of the AWS adapters, on servers that play AWS. */
interface AwsStores {
  readonly table: Table;
  readonly carrier: {
    readonly queue: Queue;
    /** Acts as a worker: receives a message, if there is one, and deletes it. */
    take(queue: QueueName): Promise<ReconcileRequest | undefined>;
  };
}

/** Opens stores on these two servers, and stops both in the end. */
export function awsStores(dynamoDb: TestServer, sqs: TestServer) {
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const getAddress = ({ endpoint }: TestServer) => ({ endpoint, region: "us-east-1", credentials });
  const records = dynamoClient(getAddress(dynamoDb), patient);
  const messages = sqsClient(getAddress(sqs), patient);
  return {
    async open(): Promise<AwsStores> {
      const name = randomUUID();
      await ensureTable(records, name);
      const urls = await createQueues(messages, { endpoint: sqs.endpoint, prefix: name });
      const take = async (queue: QueueName) => {
        const QueueUrl = urls[queue];
        const { Messages: [message] = [] } = await messages.send(new ReceiveMessageCommand({ QueueUrl }));
        if (!message) return undefined;
        await messages.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle: message.ReceiptHandle }));
        return JSON.parse(message.Body ?? "") as ReconcileRequest;
      };
      const table = dynamoTable({ client: records, tableName: name });
      return { table, carrier: { queue: sqsQueue({ client: messages, urls }), take } };
    },
    async stop() {
      records.destroy();
      messages.destroy();
      await Promise.all([dynamoDb.stop(), sqs.stop()]);
    },
  };
}
