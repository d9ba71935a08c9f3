import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewForecast } from "#tests/worlds/pool-view.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey } from "../../store/keys.ts";
import { readExpectedStart } from "./advice.ts";
import { estimateFor } from "./estimate-new-job.ts";

const HOUR = 3_600_000;

/** Returns a machine in use for four hours, its forecast, and a job that no plan has seen. */
async function worldWithOneMore() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("first", { hours: 4 }));
  await world.advance(90_000);
  const environment = await createEnvironment(world.as("bob"), newEnvironment("second"));
  return { ...world, environment };
}

test("places a job that no plan has seen in the last forecast, with one read", async () => {
  const { ctx, table, clock, environment } = await worldWithOneMore();
  const { owner, size, zone } = environment;
  const standing = await viewForecast(ctx, "h100");
  if (!standing) throw new Error("No forecast was made");
  const reads: number[] = [];
  const getMany: typeof table.getMany = (keys) => {
    reads.push(keys.length);
    return table.getMany(keys);
  };

  const startsAt = await readExpectedStart({ ...ctx, table: { ...table, getMany } }, environment);

  expect(startsAt).toBe(estimateFor(standing, { owner, zone, ...size }).p50);
  expect(startsAt).toBeGreaterThan(clock.now() + HOUR);
  expect(reads).toEqual([3]);
});

test("returns the estimate of a job that has one", async () => {
  const { ctx, table, clock, environment } = await worldWithOneMore();
  const { at } = (await table.get(forecastKey("h100", null))) as Item;
  const startsAt = clock.now() + 7_000;
  const entries = { [environment.uid]: [startsAt, startsAt + 1_000, "none", 0] };
  const answer: Item = { ...forecastKey("h100", environment.uid.slice(0, 1)), writers: [], at, later: null, entries };
  await table.put(answer);

  expect(await readExpectedStart(ctx, environment)).toBe(startsAt);
});

test("returns null for a job whose start the forecast calls unknown", async () => {
  const { ctx, table, environment } = await worldWithOneMore();
  const { at } = (await table.get(forecastKey("h100", null))) as Item;
  const entries = { [environment.uid]: [null, null, "none", 0] };
  const answer: Item = { ...forecastKey("h100", environment.uid.slice(0, 1)), writers: [], at, later: null, entries };
  await table.put(answer);

  expect(await readExpectedStart(ctx, environment)).toBeNull();
});

test("returns the earliest possible time beyond the horizon of the forecast", async () => {
  const { ctx, table, clock, environment } = await worldWithOneMore();
  const whole = (await table.get(forecastKey("h100", null))) as Item;
  const later = clock.now() + 9_000;
  const standing = { ...(whole.standing as object), later, room: [], turns: [] };
  const item: Item = { ...whole, standing };
  await table.put(item);

  expect(await readExpectedStart(ctx, environment)).toBe(later);
  clock.advance(20_000);
  expect(await readExpectedStart(ctx, environment)).toBe(later + 11_000);
});

test("returns null without a forecast, or with an unreadable one", async () => {
  const { ctx, table, environment } = await worldWithOneMore();
  const whole = (await table.get(forecastKey("h100", null))) as Item;
  const items: Item[] = [
    { ...whole, standing: { at: "now" } },
    { ...whole, standing: undefined },
  ];

  for (const item of items) {
    await table.put(item);
    expect(await readExpectedStart(ctx, environment)).toBeNull();
  }
});

test("returns null for an old forecast", async () => {
  const { ctx, clock, environment } = await worldWithOneMore();

  clock.advance(11 * 60_000);

  expect(await readExpectedStart(ctx, environment)).toBeNull();
});
