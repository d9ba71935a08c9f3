import { afterAll } from "vitest";
import { startDynamoDb } from "#aws/test-servers/dynamodb.ts";
import { startSqs } from "#aws/test-servers/sqs.ts";
import { awsStores } from "#aws/test-servers/stores.ts";
import { catalogCases } from "#testing/catalog-cases.ts";
import { catalogWorld } from "#testing/catalog-requests.ts";
import { nodesOf } from "#testing/memory-world.ts";

const stores = awsStores(await startDynamoDb(), await startSqs());

afterAll(() => stores.stop());

// No more machines than the cases need: each plan reads them all, over the wire.
await catalogCases(
  await catalogWorld({ ...(await stores.open()), nodes: nodesOf({ h100: 2, "cpu-x86": 24, "cpu-shared": 16 }) }),
);
