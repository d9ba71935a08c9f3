import { afterAll } from "vitest";
import { startDynamoDb } from "#tests/aws/dynamodb.ts";
import { startSqs } from "#tests/aws/sqs.ts";
import { awsStores } from "#tests/aws/stores.ts";
import { lifeCases } from "#tests/fixtures/life-cases.ts";

const stores = awsStores(await startDynamoDb(), await startSqs());

afterAll(() => stores.stop());

lifeCases(stores.open);
