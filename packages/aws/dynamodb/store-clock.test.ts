import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import type { Clock } from "#core/ports/clock.ts";
import type { Table } from "#core/ports/table.ts";
import { MINUTE_MS } from "#core/units.ts";
import { ensureTable, startDynamoDb } from "#tests/aws/dynamodb.ts";
import { patient } from "#tests/aws/patient.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { systemClock } from "../clock.ts";
import { leastAheadMs } from "./store-clock.ts";
import { dynamoClient, dynamoTable } from "./table.ts";

const key = { pk: "any", sk: "-" };
const credentials = { accessKeyId: "local", secretAccessKey: "local", sessionToken: undefined };
const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** Returns a table on a real server, and its client's clock, which differs from this machine's by that much. */
async function tableWithClock(offsetMs: number) {
  const emulator = await startDynamoDb();
  closers.push(emulator.stop);
  const client = dynamoClient({ endpoint: emulator.endpoint, region: "us-east-1", credentials }, patient);
  closers.push(() => client.destroy());
  await ensureTable(client, "berth-test");
  let offset = offsetMs;
  const clock = { ...systemClock(), now: () => Date.now() + offset };
  const table = dynamoTable({ client, tableName: "berth-test", clock });
  return { table, setOffset: (ms: number) => (offset = ms) };
}

/** Returns a table on a server that answers each call without an item and with this Date header. */
async function tableWithDate(date: string | undefined, clock: Clock = systemClock()) {
  const server = createServer((_, response) => {
    response.sendDate = false;
    if (date !== undefined) response.setHeader("date", date);
    response.writeHead(200, { "content-type": "application/x-amz-json-1.0" }).end("{}");
  }).listen(0, "127.0.0.1");
  closers.push(() => server.close());
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  const client = dynamoClient({ endpoint: `http://127.0.0.1:${port}`, region: "us-east-1", credentials }, patient);
  closers.push(() => client.destroy());
  return dynamoTable({ client, tableName: "berth-test", clock });
}

const ahead = (table: Table) => table.clockAheadMs?.();

describe("the difference between a process's clock and its table's", () => {
  it("is unknown before the first answer, and zero on a machine with one clock", async () => {
    const { table } = await tableWithClock(0);
    const before = ahead(table);

    await table.get(key);

    expect([before, ahead(table)]).toEqual([undefined, 0]);
  });

  it.each([15, -15, 2, -2])("is %i minutes after the first answer", async (minutes) => {
    const { table } = await tableWithClock(minutes * MINUTE_MS);

    await table.get(key);

    const differs = Number(ahead(table)) - minutes * MINUTE_MS;
    expect(differs * Math.sign(minutes)).toBeLessThanOrEqual(0);
    expect(Math.abs(differs)).toBeLessThan(MINUTE_MS);
  });

  it("is zero again after the next answer once the clock was set right", async () => {
    const { table, setOffset } = await tableWithClock(15 * MINUTE_MS);
    await table.get(key);
    setOffset(0);

    await table.query({ pk: "any" });

    expect(ahead(table)).toBe(0);
  });

  it("is measured by a refused write too", async () => {
    const { table, setOffset } = await tableWithClock(0);
    await table.put({ ...key, writers: ["w1"] });
    setOffset(15 * MINUTE_MS);

    await expect(table.put({ ...key, writers: ["w2"] }, { ifWriter: null })).rejects.toThrow("any|-");

    expect(ahead(table)).toBeGreaterThan(14 * MINUTE_MS);
  });

  it("is unknown 10 s after the last answer, so a wrong date is not trusted forever", async () => {
    const start = Date.UTC(2026, 0, 20, 18);
    const clock = manualClock(start + 15 * MINUTE_MS);
    const table = await tableWithDate(new Date(start).toUTCString(), clock);
    await table.get(key);
    const soon = ahead(table);
    clock.advance(10_001);

    expect([soon, ahead(table)]).toEqual([15 * MINUTE_MS - 1_999, undefined]);
  });

  it.each([
    undefined,
    "",
    "0",
    "yesterday",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "2026-01-20T18:00:00Z",
    "Wed, 99 Foo 2026 18:00:00 GMT",
  ])("is unknown if the server's date is %j", async (date) => {
    const table = await tableWithDate(date);

    await table.get(key);

    expect(ahead(table)).toBeUndefined();
  });
});

describe("the difference that one answer proves", () => {
  const date = "Tue, 20 Jan 2026 18:00:00 GMT";
  const at = Date.parse(date);

  it("is zero for a clock that agrees with a date in whole seconds that was built a second ago", () => {
    expect(leastAheadMs(date, { sentAt: at + 1_999, receivedAt: at + 2_020 })).toBe(0);
    expect(leastAheadMs(date, { sentAt: at - 20, receivedAt: at })).toBe(0);
  });

  it("is the least by which a clock is ahead, however slow the answer", () => {
    const sentAt = at + 15 * MINUTE_MS;

    expect(leastAheadMs(date, { sentAt, receivedAt: sentAt + 20 })).toBe(15 * MINUTE_MS - 1_999);
    expect(leastAheadMs(date, { sentAt, receivedAt: sentAt + 60 * MINUTE_MS })).toBe(15 * MINUTE_MS - 1_999);
  });

  it("is the least by which a clock is behind", () => {
    const receivedAt = at - 15 * MINUTE_MS;

    expect(leastAheadMs(date, { sentAt: receivedAt - 20, receivedAt })).toBe(-15 * MINUTE_MS);
  });

  it("is zero if the process was frozen between request and answer", () => {
    expect(leastAheadMs(date, { sentAt: at, receivedAt: at + 60 * MINUTE_MS })).toBe(0);
    expect(leastAheadMs(date, { sentAt: at - 60 * MINUTE_MS, receivedAt: at + 20 })).toBe(0);
  });

  it("is never too large if the clock was set between request and answer", () => {
    expect(leastAheadMs(date, { sentAt: at + 15 * MINUTE_MS, receivedAt: at })).toBeUndefined();
    expect(leastAheadMs(date, { sentAt: at, receivedAt: at + 15 * MINUTE_MS })).toBe(0);
  });
});
