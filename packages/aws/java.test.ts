import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, it } from "vitest";
import { openTableDirectory } from "#gateway/directory/table-directory-fixture.ts";
import { ensureTable } from "#tests/aws/dynamodb.ts";
import { startJava } from "#tests/aws/java.ts";
import { dynamoDbLocal, ELASTICMQ_ACCOUNT, elasticMq } from "#tests/aws/java-servers.ts";
import { patient } from "#tests/aws/patient.ts";
import { createQueues, receiveAll } from "#tests/aws/sqs.ts";
import { directoryConformance } from "#tests/conformance/directory.ts";
import { queueConformance } from "#tests/conformance/queue.ts";
import { tableConformance } from "#tests/conformance/table.ts";
import { dynamoClient, dynamoTable } from "./dynamodb/table.ts";
import { sqsClient, sqsQueue } from "./sqs/queue.ts";

const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
// Sequential, because both share Maven's cache.
const dynamo = await startJava(dynamoDbLocal, "TEST_DYNAMODB_URL");
const sqs = await startJava(elasticMq, "TEST_SQS_URL");

describe("the table on DynamoDB Local", () => {
  if (typeof dynamo === "string") {
    it("needs Java", ({ skip }) => skip(dynamo));
    return;
  }
  const client = dynamoClient({ endpoint: dynamo.endpoint, region: "us-east-1", credentials }, patient);
  const tableName = `berth-${randomUUID()}`;

  beforeAll(() => ensureTable(client, tableName));

  afterAll(async () => {
    client.destroy();
    await dynamo.stop();
  });

  tableConformance(async () => dynamoTable({ client, tableName }));

  describe("with the gateway's directory", () => {
    // Each test has a table of its own, because the worker of another test's world would find its records.
    directoryConformance(async () => {
      const ownTable = `berth-${randomUUID()}`;
      await ensureTable(client, ownTable);
      return openTableDirectory(dynamoTable({ client, tableName: ownTable }));
    });
  });
});

describe("the queue on ElasticMQ", () => {
  if (typeof sqs === "string") {
    it("needs Java", ({ skip }) => skip(sqs));
    return;
  }
  const { endpoint, stop } = sqs;
  const client = sqsClient({ endpoint, region: "us-east-1", credentials }, patient);

  afterAll(async () => {
    client.destroy();
    await stop();
  });

  queueConformance(async () => {
    const urls = await createQueues(client, { endpoint, account: ELASTICMQ_ACCOUNT, prefix: randomUUID() });
    return {
      queue: sqsQueue({ client, urls }),
      receive: (queue, options) => receiveAll(client, urls[queue], options),
      now: () => Date.now(),
      pass: (ms) => sleep(ms),
    };
  });
});
