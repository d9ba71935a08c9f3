import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/table.ts";
import { type Emulator, ensureTable, startDynamoDb } from "./dynamodb.ts";

const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
let path: string;
let emulator: Emulator;

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), "berth-db-"));
  emulator = await startDynamoDb({ path });
});

afterEach(async () => {
  await emulator.stop();
  rmSync(path, { recursive: true });
});

function openTable() {
  const client = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials });
  return { client, table: dynamoTable({ client, tableName: "berth" }) };
}

describe("the embedded DynamoDB", () => {
  it("keeps what was written over a restart", async () => {
    const before = openTable();
    await ensureTable(before.client, "berth");
    await before.table.put({ pk: "a", sk: "b", writers: ["w1"] });
    before.client.destroy();
    await emulator.stop();
    emulator = await startDynamoDb({ path });

    const after = openTable();
    const found = await after.table.get({ pk: "a", sk: "b" });
    after.client.destroy();

    expect(found).toEqual({ pk: "a", sk: "b", writers: ["w1"] });
  });

  it("survives a client that cuts off its upload", async () => {
    const { client, table } = openTable();
    await ensureTable(client, "berth");
    const { hostname, port } = new URL(emulator.endpoint);
    const socket = connect(Number(port), hostname);
    await once(socket, "connect");
    socket.write(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nX-Amz-Target: DynamoDB_20120810.PutItem\r\n\r\n{",
    );
    await new Promise((resolve) => setTimeout(resolve, 50));

    socket.resetAndDestroy();
    await once(socket, "close");
    await table.put({ pk: "a", sk: "b", writers: ["w1"] });

    expect(await table.get({ pk: "a", sk: "b" })).toEqual({ pk: "a", sk: "b", writers: ["w1"] });
    client.destroy();
  });

  it("is reached on the loopback address alone", () => {
    expect(emulator.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });
});
