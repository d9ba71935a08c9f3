import { expect, test } from "vitest";
import { memoryWorld } from "#tests/worlds/memory-world.ts";
import type { Item } from "../ports/table.ts";
import { checkCircuit, receiverStateKey, tellAnswered, tellFailed } from "./circuit.ts";

const MINUTE = 60_000;
const quick = { tookMs: 10, wasProbe: false };
const probe = { tookMs: 10, wasProbe: true };

async function failing(times: number, how = quick) {
  const { ctx, clock } = await memoryWorld();
  const key = receiverStateKey(ctx, "owner", "https://hooks.example/a");
  for (let n = 0; n < times; n++) await tellFailed(ctx, key, how, clock.now());
  return { ctx, key, now: clock.now() };
}

/** Claims the probe if the circuit allows one. */
async function pass(...input: Parameters<typeof checkCircuit>) {
  const found = await checkCircuit(...input);
  return found.may === "probe" ? found.claim() : found;
}

test("all URLs of an owner at one origin share one circuit", async () => {
  const { ctx, key } = await failing(0);

  expect(receiverStateKey(ctx, "owner", "https://HOOKS.example:443/b?c")).toEqual(key);
  expect(receiverStateKey(ctx, "owner", "http://hooks.example/a")).not.toEqual(key);
  expect(receiverStateKey(ctx, "other", "https://hooks.example/a")).not.toEqual(key);
});

test("twenty failures in a row open the circuit, and four slow ones are enough", async () => {
  const [almost, often, slow] = [await failing(19), await failing(20), await failing(4, { ...quick, tookMs: 10_000 })];

  const input = [almost, often, slow].map(({ ctx, key, now }) => checkCircuit(ctx, key, now));

  expect((await Promise.all(input)).map(({ may }) => may)).toEqual(["dial", "wait", "wait"]);
});

test("one of several simultaneous callers may probe", async () => {
  const { ctx, key, now } = await failing(20);
  const later = now + 3 * MINUTE;

  const input = await Promise.all([1, 2, 3].map(() => pass(ctx, key, later)));

  expect(input.map(({ may }) => may).toSorted()).toEqual(["probe", "wait", "wait"]);
});

test("a probe has no competitor until its attempt is over on any clock", async () => {
  const { ctx, key, now } = await failing(20);
  const later = now + 3 * MINUTE;

  await pass(ctx, key, later);
  const [begunLate, patience, clocks] = [12_000, 10_000, 17_000];

  expect(await pass(ctx, key, later + begunLate + patience + clocks)).toMatchObject({ may: "wait" });
});

test("each failed probe doubles the open time up to ten minutes, but earlier posts do not", async () => {
  const { ctx, key, now } = await failing(20);
  const waits: number[] = [];
  let at = now + 2 * MINUTE;
  for (let n = 0; n < 4; n++) {
    await pass(ctx, key, at);
    await tellFailed(ctx, key, probe, at);
    await tellFailed(ctx, key, quick, at);
    const verdict = await checkCircuit(ctx, key, at);
    if (verdict.may !== "wait") throw new Error("It is open");
    waits.push(verdict.until - at);
    at = verdict.until;
  }

  expect(waits).toEqual([4 * MINUTE, 8 * MINUTE, 10 * MINUTE, 10 * MINUTE]);
});

test("a failure keeps unknown fields of the item", async () => {
  const { ctx, key, now } = await failing(1);
  const item = await ctx.table.get(key);
  if (!item) throw new Error("Nothing is known of it");
  await ctx.table.put({ ...item, added: "by a newer version" } as Item);

  await tellFailed(ctx, key, quick, now);

  expect(await ctx.table.get(key)).toMatchObject({ failures: 2, added: "by a newer version" });
});

test("one success closes the circuit for all callers", async () => {
  const { ctx, key, now } = await failing(40);

  await tellAnswered(ctx, key, now);

  expect(await checkCircuit(ctx, key, now)).toEqual({ may: "dial" });
});

test("simultaneous failures count until the circuit opens, and the others raise no error", async () => {
  const { ctx, key, now } = await failing(0);

  await Promise.all(Array.from({ length: 64 }, () => tellFailed(ctx, key, quick, now)));

  expect(await checkCircuit(ctx, key, now)).toMatchObject({ may: "wait" });
});
