import { afterAll, beforeAll, expect, test } from "vitest";
import { dynamoClient, dynamoTable } from "#aws/dynamodb/table.ts";
import type { Item, Page, Table } from "#core/ports/table.ts";
import { getDueShard } from "#core/store/due.ts";
import { HOUR_MS } from "#core/units.ts";
import { ensureTable, startDynamoDb } from "#tests/aws/dynamodb.ts";
import type { TestServer } from "#tests/aws/test-server.ts";
import { countedPort } from "#tests/faults/counted-ports.ts";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import { schedule } from "./auto-stop.ts";

const DUE = 20;
const unaborted = new AbortController().signal;
const world = await memoryWorld({ nodes: [] });
const { clock, ctx, queue } = world;

/** Records of which the first few are due now, half of the rest in an hour, and the others never. */
function records(count: number): Item[] {
  return Array.from({ length: count }, (_, n) => {
    const key = { pk: "owner#a#env#b", sk: `job-${n}` };
    const dueAt = n < DUE ? clock.now() : n % 2 ? clock.now() + HOUR_MS : undefined;
    return { ...key, writers: ["w1"], dueShard: getDueShard(ctx.ids, key), ...(dueAt !== undefined && { dueAt }) };
  });
}

test("a sweep over 20,000 records with 20 due makes 32 queries, reads 20 items and sends 20 reconciles", async () => {
  const calls: string[] = [];
  const pages: Page[] = [];
  const table: Table = {
    ...world.table,
    query: async (query) => {
      const page = await world.table.query(query);
      pages.push(page);
      return page;
    },
  };
  for (const record of records(20_000)) await world.table.put(record);
  const before = queue.sent();

  await schedule.verb({ ...ctx, table: countedPort("table", table, calls), identity: never() }, unaborted);

  expect(calls.filter((call) => call === "table.query")).toHaveLength(32);
  expect(calls.filter((call) => call !== "table.query")).toEqual(["table.get", "table.put"]);
  expect(pages.flatMap((page) => page.items).length).toBeLessThanOrEqual(DUE);
  expect(queue.sent() - before).toBe(DUE);
});

/** A port that the sweep must not touch. */
function never(): never {
  return undefined as never;
}

let emulator: TestServer;
let client: ReturnType<typeof dynamoClient>;

beforeAll(async () => {
  emulator = await startDynamoDb();
  const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
  client = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials });
  await ensureTable(client, "berth-sweep");
});

afterAll(async () => {
  client.destroy();
  await emulator.stop();
});

test("DynamoDB reads only due items for a sweep", async () => {
  const table = dynamoTable({ client, tableName: "berth-sweep" });
  const all = records(1_000);
  for (let at = 0; at < all.length; at += 50) await Promise.all(all.slice(at, at + 50).map((item) => table.put(item)));
  const scanned: number[] = [];
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      scanned.push(Number((result.output as { readonly ScannedCount?: number }).ScannedCount));
      return result;
    },
    { step: "initialize", name: "scanned" },
  );

  await schedule.verb({ ...ctx, table, identity: never() }, unaborted);

  expect(scanned.filter(Number.isFinite)).toHaveLength(32);
  expect(scanned.filter(Number.isFinite).reduce((sum, value) => sum + value, 0)).toBe(DUE);
});
