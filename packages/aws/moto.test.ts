import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { queueConformance } from "#testing/conformance/queue.ts";
import { tableConformance } from "#testing/conformance/table.ts";
import { sqsClient, sqsQueue } from "./queue.ts";
import { dynamoClient, dynamoTable } from "./table.ts";
import { ensureTable } from "./test-servers/dynamodb.ts";
import { MOTO_ACCOUNT, MOTO_MISSING, startMoto } from "./test-servers/moto.ts";
import { patient } from "./test-servers/patient.ts";
import { createQueues, receiveAll } from "./test-servers/sqs.ts";

const moto = await startMoto();

describe("against moto, which nobody of us wrote", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const { endpoint, stop } = moto;
  const dynamo = dynamoClient({ endpoint, region: "us-east-1", credentials }, patient);
  const sqs = sqsClient({ endpoint, region: "us-east-1", credentials }, patient);
  const tableName = "berth-test";

  beforeAll(() => ensureTable(dynamo, tableName));

  afterAll(async () => {
    for (const client of [dynamo, sqs]) client.destroy();
    await stop();
  });

  describe("the table on DynamoDB", () => tableConformance(async () => dynamoTable({ client: dynamo, tableName })));

  describe("the queue on SQS", () => {
    queueConformance(async () => {
      // As SQS it empties a queue once a minute at most: new ones each time.
      const urls = await createQueues(sqs, { endpoint, account: MOTO_ACCOUNT, prefix: randomUUID() });
      return {
        queue: sqsQueue({ client: sqs, urls }),
        receive: (queue, options) => receiveAll(sqs, urls[queue], options),
        pass: (ms) => sleep(ms),
      };
    });
  });
});
