import { expect, test } from "vitest";
import { requestCancel, requestExtension } from "#core/environments/verbs/actions.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { drainPool } from "#core/pools/admission/admission.ts";
import type { Clock } from "#core/ports/clock.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { testSettings } from "#tests/fixtures/settings.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { type News, tableWithNews } from "./activity-log.ts";
import { createWaits } from "./queue-activity.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** Resolves after the names of owners were read, which each event waits for. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A world of one machine of h100, whose table tells. */
async function tellingWorld(stored = memoryTable()) {
  const news: News[] = [];
  let begun: MemoryWorld | undefined;
  const clock = { now: () => begun?.clock.now() ?? 0 } as Clock;
  const waits = createWaits({ table: stored, clock }, testSettings());
  const table = tableWithNews(stored, 0, waits, (each) => news.push(each));
  const world = await memoryWorld({ table, nodes: newNodes({ h100: 1 }) });
  begun = world;
  const submit = (id: string, size: { pool?: string } = {}) =>
    createEnvironment(world.as("alice"), newEnvironment(id, size));
  const waiting = async () => {
    await settled();
    return news.filter(({ words }) => words.startsWith("waiting")).map(({ name, words }) => `${name} ${words}`);
  };
  return { world, waiting, submit };
}

const first =
  /^two waiting, expected to start at .*\d\d:\d\d, at the latest at .*\d\d:\d\d: Need 8 H100 GPUs, only 0 available - position #1; its start is reserved and moves only with the jobs it waits for$/;

test("reports place, start and reason of a waiting job once, however often it is reconciled", async () => {
  const { world, submit, waiting } = await tellingWorld();
  await submit("one");
  await world.advance(10_000);
  await submit("two");
  await world.advance(15_000);

  const early = await waiting();
  await world.advance(40 * MINUTE);

  expect(early).toEqual([expect.stringMatching(first)]);
  expect(await waiting()).toEqual(early);
});

test("reports no wait for a job that starts at once", async () => {
  const { world, submit, waiting } = await tellingWorld();

  await submit("one");
  await world.advance(30 * MINUTE);

  expect(await waiting()).toEqual([]);
});

test("reports a changed start", async () => {
  const { world, submit, waiting } = await tellingWorld();
  await submit("one");
  await world.advance(10_000);
  await submit("two");
  await world.advance(15_000);

  const early = await waiting();
  await requestExtension(world.as("alice"), "one", HOUR);
  await world.advance(3 * MINUTE);

  expect(early).toHaveLength(1);
  expect((await waiting()).slice(1)).toEqual([expect.stringMatching(first)]);
  expect((await waiting())[1]).not.toBe(early[0]);
});

test("reports another kind of reason, but not within the same minute", async () => {
  const { world, submit, waiting } = await tellingWorld();
  await submit("one", { pool: "a100" });
  await world.advance(15_000);

  await drainPool(world.ctx, "a100", true);
  await world.advance(30_000);
  const early = await waiting();
  await world.advance(2 * MINUTE);

  expect(early).toHaveLength(1);
  expect(await waiting()).toEqual([
    expect.stringMatching(
      /^one waiting: No A100 nodes available - position #1 in queue; no such machine takes jobs now/,
    ),
    "one waiting: No new A100 jobs are started at the moment: drained by the operator - position #1",
  ]);
});

test("reports that a place has halved if no start is known", async () => {
  const { world, submit, waiting } = await tellingWorld();
  await drainPool(world.ctx, "h100", true);
  for (const id of ["one", "two", "three", "four"]) {
    await submit(id);
    await world.advance(1_000);
  }
  const places = async () =>
    (await waiting()).map((line) => line.replace(/ waiting: No new.* position (#\d+)$/, " $1"));
  await world.advance(2 * MINUTE);

  await requestCancel(world.as("alice"), "one");
  await world.advance(2 * MINUTE);
  const entry = await places();
  await requestCancel(world.as("alice"), "two");
  await world.advance(2 * MINUTE);

  expect(entry).toEqual(["one #1", "two #2", "three #3", "four #4", "two #1"]);
  expect((await places()).slice(entry.length)).toEqual(["three #1", "four #2"]);
});

test("reports environments that waited before the start", async () => {
  const stored = memoryTable();
  const earlier = await memoryWorld({ table: stored, nodes: newNodes({ h100: 1 }) });
  for (const id of ["one", "two"]) {
    await createEnvironment(earlier.as("alice"), newEnvironment(id));
    await earlier.advance(15_000);
  }
  const { waiting, world } = await tellingWorld(stored);

  await world.advance(10 * MINUTE);

  expect(await waiting()).toEqual([expect.stringMatching(/^two waiting/)]);
});

test("reports other events although the table does not answer", async () => {
  const table = memoryTable();
  const broken = { ...table, getMany: async () => Promise.reject(new Error("away")) };
  const waits = createWaits({ table: broken, clock: { now: () => 0 } as Clock }, testSettings());

  expect(await waits.newsAfter({ pk: "forecast#h100", sk: "-" })).toEqual([]);
  expect(waits.newsAfter({ pk: "forecast#h100#3", sk: "-" })).toBeUndefined();
});
