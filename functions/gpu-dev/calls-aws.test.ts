import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sqsClient, sqsQueue } from "#aws/queue.ts";
import { dynamoClient, dynamoTable } from "#aws/table.ts";
import { ensureTable, startDynamoDb } from "#aws/test-servers/dynamodb.ts";
import { createQueues, startSqs } from "#aws/test-servers/sqs.ts";
import type { TestServer } from "#aws/test-servers/test-server.ts";
import { poolKey } from "#core/keys.ts";
import { reconcilePools } from "#core/pools/planner.ts";
import { submitJob } from "#testing/catalog-requests.ts";
import { httpWorld } from "#testing/http-world.ts";

const address = (emulator: TestServer) => ({
  endpoint: emulator.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined },
});
const tableName = "berth-calls";
const sent: string[] = [];
let emulators: TestServer[];
let dynamo: DynamoDBClient;
let sqs: SQSClient;
let urls: Awaited<ReturnType<typeof createQueues>>;

beforeAll(async () => {
  const [dynamoDb, queues] = await Promise.all([startDynamoDb(), startSqs()]);
  emulators = [dynamoDb, queues];
  dynamo = dynamoClient(address(dynamoDb));
  sqs = sqsClient(address(queues));
  [urls] = await Promise.all([createQueues(sqs, queues), ensureTable(dynamo, tableName)]);
  // The step after which each request leaves, retries and pages included.
  const step = { step: "finalizeRequest", priority: "low", name: "counted" } as const;
  dynamo.middlewareStack.add((next, { commandName }) => noted(next, commandName), step);
  sqs.middlewareStack.add((next, { commandName }) => noted(next, commandName), step);
});

afterAll(async () => {
  dynamo.destroy();
  sqs.destroy();
  await Promise.all(emulators.map((emulator) => emulator.stop()));
});

function noted<Input, Output>(
  next: (args: Input) => Promise<Output>,
  command: unknown,
): (args: Input) => Promise<Output> {
  return async (args) => {
    sent.push(String(command).replace(/Command$/, ""));
    return next(args);
  };
}

/** The app on the real adapters, and the AWS calls of one request each. */
async function awsWorld() {
  const table = dynamoTable({ client: dynamo, tableName });
  const queue = sqsQueue({ client: sqs, urls });
  const world = await httpWorld({ wrap: (ports) => ({ ...ports, table, queue }) });
  const key = await world.login();
  const during = async (method: string, path: string, body?: unknown) => {
    world.clock.advance(31_000);
    sent.length = 0;
    const { status } = await world.request(method, path, { key, body });
    expect(status).toBe(200);
    return [...sent];
  };
  const plan = () => reconcilePools({ ...world.ctx, table, queue }, [{ look: `${poolKey("h100").pk}|-` }]);
  return { world, key, during, plan };
}

test("one call of a port is one call of AWS, for each kind of request", async () => {
  const { world, key, during, plan } = await awsWorld();
  const id = await submitJob(world, key);
  await plan();
  const job = `/v1/jobs/${id}`;

  expect({
    submit: await during("POST", "/v1/jobs/submit", { image: "ubuntu", instance_type: "p5.48xlarge" }),
    get: await during("GET", job),
    list: await during("GET", "/v1/jobs"),
    extend: await during("POST", `${job}/extend`, { extension_hours: 1 }),
    cancel: await during("POST", `${job}/cancel`),
    getCancelled: await during("GET", job),
    availability: await during("GET", "/v1/gpu/availability"),
    status: await during("GET", "/v1/cluster/status"),
  }).toEqual({
    submit: ["GetItem", "Query", "PutItem", "PutItem", "SendMessage"],
    get: ["GetItem", "GetItem", "BatchGetItem"],
    list: ["GetItem", "Query", "BatchGetItem", "BatchGetItem"],
    extend: ["GetItem", "GetItem", "PutItem", "SendMessage"],
    cancel: ["GetItem", "GetItem", "PutItem", "SendMessage"],
    getCancelled: ["GetItem", "GetItem"],
    availability: ["GetItem", "BatchGetItem"],
    status: ["GetItem", "BatchGetItem"],
  });
});

test("200 fresh jobs are one query of DynamoDB, and a batch read for each 100 that are shown", async () => {
  const { world, key, during } = await awsWorld();
  for (let n = 0; n < 10; n++) await Promise.all(Array.from({ length: 20 }, () => submitJob(world, key)));

  expect(await during("GET", "/v1/jobs?limit=500")).toEqual(["GetItem", "Query", ...Array(4).fill("BatchGetItem")]);
  expect(await during("GET", "/v1/jobs?limit=1")).toEqual(["GetItem", "Query", "BatchGetItem", "BatchGetItem"]);
});
