import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import { ensureTable } from "#tests/aws/dynamodb.ts";
import { MOTO_MISSING, startMoto } from "#tests/aws/moto.ts";
import { patient } from "#tests/aws/patient.ts";
import { severalMachineCases } from "#tests/conformance/several-machines.ts";
import { submitJob } from "#tests/fixtures/catalog-requests.ts";
import { httpWorld } from "#tests/worlds/http-world.ts";
import { newNodes } from "#tests/worlds/memory-world.ts";

// dynalite has no transactions. Berth adds them out of its single puts (tests/aws/transactions.ts).
const moto = await startMoto();

describe("on the table on DynamoDB, played by moto", () => {
  if (!moto) {
    it("needs moto", ({ skip }) => skip(MOTO_MISSING));
    return;
  }
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  const { endpoint, stop } = moto;
  const client = dynamoClient({ endpoint, region: "us-east-1", credentials }, patient);
  const sent: string[] = [];
  client.middlewareStack.add(
    (next, { commandName }) => {
      return async (args) => {
        sent.push(String(commandName).replace(/Command$/, ""));
        return next(args);
      };
    },
    // The step after which each request leaves, retries included.
    { step: "finalizeRequest", priority: "low", name: "counted" },
  );
  const open = async () => {
    const tableName = randomUUID();
    await ensureTable(client, tableName);
    return dynamoTable({ client, tableName });
  };

  afterAll(async () => {
    client.destroy();
    await stop();
  });

  severalMachineCases(open, [8]);

  it("grants a job of eight machines with one transaction of DynamoDB", async () => {
    const world = await httpWorld({ table: await open(), nodes: newNodes({ h100: 8 }) });
    const key = await world.login();
    await submitJob(world, key, { gpu_count: 64 });
    sent.length = 0;

    await world.advance(5_000);

    expect(sent.filter((call) => call === "TransactWriteItems")).toHaveLength(1);
  });
});
