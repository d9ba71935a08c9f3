import { afterAll } from "vitest";
import { startDynamoDb } from "#aws/test-servers/dynamodb.ts";
import { startSqs } from "#aws/test-servers/sqs.ts";
import { awsStores } from "#aws/test-servers/stores.ts";
import { lifeCases } from "#testing/life-cases.ts";

const stores = awsStores(await startDynamoDb(), await startSqs());

afterAll(() => stores.stop());

lifeCases(stores.open);
