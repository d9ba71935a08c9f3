import type { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import type { SQSClient } from "@aws-sdk/client-sqs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { sqsClient, sqsQueue } from "#aws/sqs/queue.ts";
import { toKey } from "#core/environments/record/record.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import type { Item, Stored, Table } from "#core/ports/table.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { keyText, poolKey } from "#core/store/keys.ts";
import { ensureTable, startDynamoDb } from "#tests/aws/dynamodb.ts";
import { createQueues, startSqs } from "#tests/aws/sqs.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { putCopies } from "#tests/faults/weighed-table.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";

const address = (emulator: TestServer) => ({
  endpoint: emulator.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined },
});
const sent: string[] = [];
/** Bytes of all answers as JSON, which is what came over the wire. */
let received = 0;
let emulators: TestServer[];
let dynamo: DynamoDBClient;
let sqs: SQSClient;
let urls: Awaited<ReturnType<typeof createQueues>>;

beforeAll(async () => {
  const [dynamoDb, queues] = await Promise.all([startDynamoDb(), startSqs()]);
  emulators = [dynamoDb, queues];
  dynamo = dynamoClient(address(dynamoDb));
  sqs = sqsClient(address(queues));
  urls = await createQueues(sqs, queues);
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

function noted<Input, Output extends { readonly output: unknown }>(
  next: (args: Input) => Promise<Output>,
  command: unknown,
): (args: Input) => Promise<Output> {
  return async (args) => {
    sent.push(String(command).replace(/Command$/, ""));
    const answer = await next(args);
    received += Buffer.byteLength(JSON.stringify(answer.output));
    return answer;
  };
}

/** The app on the real adapters with its own table, and the AWS calls per request. */
async function awsWorld(tableName: string) {
  await ensureTable(dynamo, tableName);
  const table = dynamoTable({ client: dynamo, tableName });
  const queue = sqsQueue({ client: sqs, urls });
  const heads: Stored[] = [];
  const put: Table["put"] = async (item, options) => {
    await table.put(item, options);
    if ((item as Item).kind === "environment") heads.push(item);
  };
  const settings = { adminUsers: ["developer"] };
  const world = await httpWorld({ settings, wrap: (ports) => ({ ...ports, table: { ...table, put }, queue }) });
  const key = await world.login();
  const during = async (method: string, path: string, body?: unknown) => {
    world.clock.advance(31_000);
    sent.length = 0;
    received = 0;
    const { status } = await world.request(method, path, { key, body });
    expect(status).toBe(200);
    return [...sent];
  };
  /** Submits jobs and cancels them while they wait. */
  const endJobs = async (count: number) => {
    await during("POST", `/v1/jobs/${await submitJob(world, key)}/cancel`);
    const cancelled = heads.at(-1) as Stored;
    await reconcile({ ...world.ctx, table, queue }, { look: keyText(cancelled) });
    await putCopies(table, (await table.get(toKey(cancelled))) as Item, count - 1);
  };
  const plan = () => planPools({ ...world.ctx, table, queue }, [{ look: `${poolKey("h100").pk}|-` }]);
  return { world, key, during, endJobs, plan };
}

test("one call of a port is one call of AWS, for each kind of request", async () => {
  const { world, key, during, plan } = await awsWorld("berth-calls");
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

test("a list of 200 fresh jobs is one query of DynamoDB, a batch read per 100 shown jobs and one of the plan", async () => {
  const { world, key, during } = await awsWorld("berth-fresh");
  for (let n = 0; n < 10; n++) await Promise.all(Array.from({ length: 20 }, () => submitJob(world, key)));

  expect(await during("GET", "/v1/jobs?limit=500")).toEqual(["GetItem", "Query", ...Array(3).fill("BatchGetItem")]);
  expect(await during("GET", "/v1/jobs?limit=1")).toEqual(["GetItem", "Query", "BatchGetItem", "BatchGetItem"]);
});

test("lists over 2,000 ended jobs read from DynamoDB only the heads that they show", async () => {
  const { during, endJobs } = await awsWorld("berth-ended");
  await endJobs(2_000);
  const weighed = async (path: string) => {
    const calls = await during("GET", path);
    return { batches: calls.filter((call) => call === "BatchGetItem").length, bytes: received };
  };

  const ownValue = [await weighed("/v1/jobs?limit=1"), await weighed("/v1/jobs?limit=500")] as const;
  const ofUser = "/v1/admin/jobs?user=developer&limit=";
  const admins = [await weighed(`${ofUser}1`), await weighed(`${ofUser}500`)] as const;

  expect(ownValue.map(({ batches }) => batches)).toEqual([1, 5]);
  // One more for the name of the owner.
  expect(admins.map(({ batches }) => batches)).toEqual([2, 6]);
  for (const [entry, many] of [ownValue, admins]) expect(entry.bytes).toBeLessThan(many.bytes * 0.6);
});
