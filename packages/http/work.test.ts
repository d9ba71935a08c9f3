import { expect, test } from "vitest";
import type { ReconcileRequest } from "#core/ports/queue.ts";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { createContext } from "./runtime.ts";
import { consume, eachRequest, pools, work } from "./work.ts";

async function fixture() {
  const runtime = await fixtureRuntime();
  return { ctx: createContext(runtime), log: runtime.log };
}

const bodies = ["a", "b", "c"].map((recordKey) => JSON.stringify({ look: recordKey }));

test("a consumer is plain data of its queue", () => {
  const verb = async () => {};

  expect(pools.consume({ uses: ["table"], timeoutSeconds: 30 }, verb)).toEqual({
    kind: "consumer",
    queue: "pools",
    uses: ["table"],
    timeoutSeconds: 30,
    memoryMb: 512,
    verb,
  });
  expect(work.consume({ uses: [] }, verb)).toMatchObject({ queue: "work", timeoutSeconds: 60 });
});

test("the verb gets the reconcile messages of a batch in order, with the named environments", async () => {
  const { ctx } = await fixture();
  const got: ReconcileRequest[] = [];
  const consumer = pools.consume({ uses: ["table"] }, async (context, messages) => {
    expect(context.table).toBe(ctx.table);
    got.push(...messages);
  });

  const again = await consume(consumer, ctx, ['{"look":"a","for":["x","y"]}', '{"look":"b"}']);

  expect(again).toEqual([]);
  expect(got).toEqual([{ look: "a", for: ["x", "y"] }, { look: "b" }]);
});

test("the messages that the verb returns are redelivered, even one of two equal ones", async () => {
  const { ctx } = await fixture();
  const consumer = work.consume({ uses: [] }, async (_, messages) => messages.slice(1, 2));

  expect(await consume(consumer, ctx, ['{"look":"a"}', '{"look":"a"}', '{"look":"a"}'])).toEqual([1]);
});

test("a verb that throws causes redelivery of all messages", async () => {
  const { ctx, log } = await fixture();
  const consumer = work.consume({ uses: [] }, async () => {
    throw new Error("down");
  });

  expect(await consume(consumer, ctx, bodies)).toEqual([0, 1, 2]);
  expect(log.lines.map(({ event }) => event)).toEqual(["batch failed"]);
});

test("messages that are handled singly fail singly, and all are tried", async () => {
  const { ctx, log } = await fixture();
  const tried: string[] = [];
  const consumer = work.consume(
    { uses: [] },
    eachRequest(async (_, { look: recordKey }) => {
      tried.push(recordKey);
      if (recordKey === "a") throw new Error("no");
    }),
  );

  expect(await consume(consumer, ctx, bodies)).toEqual([0]);
  expect(tried).toEqual(["a", "b", "c"]);
  expect(log.lines).toMatchObject([{ event: "look failed", fields: { look: "a" } }]);
});

test("an unreadable message is logged once without its text and counts as done", async () => {
  const { ctx, log } = await fixture();
  const got: string[] = [];
  const consumer = work.consume(
    { uses: [] },
    eachRequest(async (_, { look: recordKey }) => got.push(recordKey)),
  );
  const bad = ["", "{", "null", "1", "{}", '{"look":1}', '{"look":"x","for":"y"}', '{"look":"x","for":[1]}'];

  expect(await consume(consumer, ctx, [...bad, '{"look":"good"}'])).toEqual([]);

  expect(got).toEqual(["good"]);
  expect(log.lines).toMatchObject([{ event: "unreadable messages", fields: { queue: "work", count: bad.length } }]);
});

test("positions count unreadable bodies too", async () => {
  const { ctx } = await fixture();
  const consumer = work.consume({ uses: [] }, async (_, messages) => messages);

  expect(await consume(consumer, ctx, ["junk", '{"look":"a"}', "junk", '{"look":"b"}'])).toEqual([1, 3]);
});

const notice = { kind: "spot", machine: "i-0123456789abcdef0", time: "2026-01-20T18:30:00Z" };

test("a notice of EventBridge arrives with its time in ms", async () => {
  const { ctx } = await fixture();
  const got: ReconcileRequest[] = [];
  const consumer = work.consume({ uses: [] }, async (_, messages) => void got.push(...messages));

  await consume(consumer, ctx, [JSON.stringify({ look: "machine|-", notice, hint: true })]);

  const { kind, machine } = notice;
  expect(got).toEqual([{ look: "machine|-", notice: { kind, machine, at: Date.UTC(2026, 0, 20, 18, 30) } }]);
});

test.each([
  null,
  "spot",
  {},
  { ...notice, kind: "other" },
  { ...notice, machine: 7 },
  { ...notice, machine: "" },
  { ...notice, machine: "x".repeat(64) },
  { ...notice, machine: "i-1|i-2" },
  { ...notice, time: "soon" },
  { ...notice, time: 1_768_933_800_000 },
])("the notice %j is dropped as unreadable", async (hostile) => {
  const { ctx, log } = await fixture();
  const consumer = work.consume({ uses: [] }, async () => {
    throw new Error("It reached the consumer");
  });

  expect(await consume(consumer, ctx, [JSON.stringify({ look: "machine|-", notice: hostile })])).toEqual([]);

  expect(log.lines.map(({ event }) => event)).toEqual(["unreadable messages"]);
});
