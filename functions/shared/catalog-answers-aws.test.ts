import { afterAll } from "vitest";
import { startDynamoDb } from "#tests/aws/dynamodb.ts";
import { startSqs } from "#tests/aws/sqs.ts";
import { awsStores } from "#tests/aws/stores.ts";
import { catalogCases } from "#tests/fixtures/catalog-cases.ts";
import { catalogWorld } from "#tests/fixtures/catalog-requests.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

const stores = awsStores(await startDynamoDb(), await startSqs());

afterAll(() => stores.stop());

// No more machines than the cases need: each plan reads them all, over the wire.
await catalogCases(
  await catalogWorld({ ...(await stores.open()), nodes: newNodes({ h100: 2, "cpu-x86": 24, "cpu-shared": 16 }) }),
);
