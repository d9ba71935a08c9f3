import { DynamoDBDocumentClient, GetCommand } from "@aws-sdk/lib-dynamodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureTable, startDynamoDb } from "#tests/aws/dynamodb.ts";
import { patient } from "#tests/aws/patient.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { tableConformance } from "#tests/conformance/table.ts";
import { dynamoClient, dynamoTable } from "./table.ts";

const tableName = "berth-test";
let emulator: TestServer;
let client: ReturnType<typeof dynamoClient>;

beforeAll(async () => {
  emulator = await startDynamoDb();
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  client = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials }, patient);
  await ensureTable(client, tableName);
});

afterAll(async () => {
  client.destroy();
  await emulator.stop();
});

describe("the table on DynamoDB", () => {
  tableConformance(async () => dynamoTable({ client, tableName }));

  it("compresses an item over 8 KB and leaves keys, writers, ttl and indexed fields plain", async () => {
    const table = dynamoTable({ client, tableName });
    const item = {
      pk: "big",
      sk: "-",
      writers: ["w3"],
      ttl: 1_800_000_000,
      dueShard: "a",
      dueAt: 7,
      text: "x".repeat(9_000),
    };
    await table.put(item);

    const { Item } = await DynamoDBDocumentClient.from(client).send(
      new GetCommand({ TableName: tableName, Key: { pk: "big", sk: "-" } }),
    );

    const { packed, ...plain } = Item ?? {};
    expect(plain).toEqual({ pk: "big", sk: "-", writers: ["w3"], ttl: 1_800_000_000, dueShard: "a", dueAt: 7 });
    expect((packed as Uint8Array).length).toBeLessThan(500);
    expect(await table.get(item)).toEqual(item);
  });

  it("stores a small item plain", async () => {
    const table = dynamoTable({ client, tableName });
    await table.put(Object.assign({ pk: "small", sk: "-", writers: ["w1"] }, { a: { b: [1] } }));

    const { Item } = await DynamoDBDocumentClient.from(client).send(
      new GetCommand({ TableName: tableName, Key: { pk: "small", sk: "-" } }),
    );

    expect(Item).toEqual({ pk: "small", sk: "-", writers: ["w1"], a: { b: [1] } });
  });

  it("reports that an item is too large", async () => {
    const table = dynamoTable({ client, tableName });
    const noise = Array.from({ length: 60_000 }, () => Math.random());
    const item = Object.assign({ pk: "huge", sk: "-", writers: ["w1"] }, { noise });

    await expect(table.put(item)).rejects.toThrow(
      /The item huge\|- has \d+ KB compressed; DynamoDB keeps at most 400 KB/,
    );
  });

  it("reads 250 large items at once, more than one answer can hold", async () => {
    const table = dynamoTable({ client, tableName });
    const keys = Array.from({ length: 250 }, (_, n) => ({ pk: "many", sk: String(n) }));
    await Promise.all(keys.map((key) => table.put(Object.assign({ writers: ["w1"], text: "y".repeat(7_000) }, key))));

    const items = await table.getMany(keys);

    expect(items).toHaveLength(250);
  });

  it("refuses a foreign cursor", async () => {
    const table = dynamoTable({ client, tableName });

    await expect(table.query({ pk: "many", after: "garbage" })).rejects.toThrow();
  });

  it("gives up on a server that does not answer", async () => {
    const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
    const nowhere = dynamoClient({ endpoint: "http://127.0.0.1:1", region: "us-east-1", credentials });

    await expect(dynamoTable({ client: nowhere, tableName }).get({ pk: "a", sk: "b" })).rejects.toThrow("ECONNREFUSED");
  });
});
