import { createRoute } from "@hono/zod-openapi";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import * as z from "zod";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import type { Table } from "#core/ports/table.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { MINUTE_MS } from "#core/units.ts";
import { cron } from "#http/cron.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { eachRequest, work } from "#http/work.ts";
import { memoryTable } from "#tests/fakes/memory-table.ts";
import { manualClock } from "#tests/fixtures/clock.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { asAlice, fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { ClockWrong, guardClock } from "./clock-guard.ts";
import { consumerLambda, lambda, scheduleLambda } from "./lambda.ts";

const before = { ...process.env };
const secret = "s".repeat(32);
const key = { pk: "owner#a", sk: "-" };
const item = { ...key, writers: ["w1"] };

beforeEach(() => {
  delete process.env.AWS_LAMBDA_FUNCTION_NAME;
  process.env.ORIGIN_SECRETS = secret;
  process.env.AWS_LAMBDA_LOG_GROUP_NAME = "/berth/dev/consumers/reconcile";
});

afterEach(() => {
  process.env = { ...before };
});

/** Returns the table with a store's clock that differs from this process's by that much, for as long as that stays. */
function clocked(table: Table, aheadMs: number | undefined) {
  const store = { aheadMs };
  return { store, table: { ...table, clockAheadMs: () => store.aheadMs } };
}

/** Captures standard output. */
function recordOutput() {
  const lines: string[] = [];
  const write = vi.spyOn(process.stdout, "write").mockImplementation((line) => lines.push(String(line)) > 0);
  return {
    stop() {
      write.mockRestore();
      return lines.map((line) => JSON.parse(line));
    },
  };
}

const wrong = [
  ["15 minutes ahead", 15 * MINUTE_MS],
  ["15 minutes behind", -15 * MINUTE_MS],
  ["7 seconds ahead", 7_000],
] as const;

test.each(wrong)("a worker whose clock is %s neither reads nor writes, and logs that", async (words, aheadMs) => {
  const log = recordingLog();
  const { table } = clocked(memoryTable(), aheadMs);
  const guarded = guardClock(table, "worker", { log, clock: manualClock() });

  const calls = [
    () => guarded.get(key),
    () => guarded.getMany([key]),
    () => guarded.query({ pk: key.pk }),
    () => guarded.count({ index: "due", partition: "0", limit: 1 }),
    () => guarded.put(item),
    () => guarded.putAll([{ item, ifWriter: null }]),
    () => guarded.remove(key, { ifWriter: "w1" }),
  ];
  for (const call of calls) await expect(call()).rejects.toThrow(ClockWrong);

  const error = `The clock of this worker is ${words}`;
  expect(log.lines).toEqual([
    expect.objectContaining({ level: "error", event: "clock wrong", fields: { error, aheadMs, refuses: true } }),
  ]);
  expect(await table.get(key)).toBeUndefined();
});

test("a worker whose clock is off by three seconds logs that and works", async () => {
  const log = recordingLog();
  const { table, store } = clocked(memoryTable(), 2_999);
  const clock = manualClock();
  const guarded = guardClock(table, "worker", { log, clock });

  await guarded.put(item);
  const quiet = log.lines.length;
  store.aheadMs = -3_000;
  await guarded.get(key);
  store.aheadMs = undefined;
  await guarded.get(key);

  expect(quiet).toBe(0);
  expect(log.lines.map(({ fields }) => fields)).toEqual([
    { error: "The clock of this worker is 3 seconds behind", aheadMs: -3_000, refuses: false },
  ]);
});

test("a wrong clock is logged once a minute, however much it refuses", async () => {
  const log = recordingLog();
  const { table } = clocked(memoryTable(), 5 * MINUTE_MS);
  const clock = manualClock();
  const guarded = guardClock(table, "worker", { log, clock });
  const readMany = () => Promise.allSettled(Array.from({ length: 100 }, () => guarded.get(key)));

  await readMany();
  clock.advance(59_999);
  await readMany();
  clock.advance(1);
  await readMany();

  expect(log.lines).toHaveLength(2);
});

test("a minute counts although the function was frozen, which stops its monotonic clock", async () => {
  const log = recordingLog();
  const { table } = clocked(memoryTable(), 5 * MINUTE_MS);
  const clock = manualClock();
  const guarded = guardClock(table, "worker", { log, clock });

  for (let n = 0; n < 3; n += 1) {
    await Promise.allSettled([guarded.get(key)]);
    clock.step(MINUTE_MS);
  }

  expect(log.lines).toHaveLength(3);
});

test("a worker continues with the first answer that shows its clock to be right", async () => {
  const { table, store } = clocked(memoryTable(), 15 * MINUTE_MS);
  const get = async () => {
    store.aheadMs = 0;
    return item;
  };
  const guarded = guardClock({ ...table, get }, "worker", { log: recordingLog(), clock: manualClock() });

  await expect(guarded.put(item)).rejects.toThrow(ClockWrong);
  expect(await guarded.get(key)).toEqual(item);
  await guarded.put(item);

  expect(await table.get(key)).toEqual(item);
});

test("a table without its own clock refuses nothing", async () => {
  const log = recordingLog();
  const guarded = guardClock(memoryTable(), "worker", { log, clock: manualClock() });

  await guarded.put(item);

  expect(await guarded.get(key)).toEqual(item);
  expect(log.lines).toEqual([]);
});

test("messages of a worker with a wrong clock are delivered again, and no job fails", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  const records = world.table.all();
  const messages = records.filter(({ kind }) => kind === "environment").map(({ pk, sk }) => `${pk}|${sk}`);
  const Records = messages.map((recordKey, at) => ({ messageId: `m${at}`, body: JSON.stringify({ look: recordKey }) }));
  const { table } = clocked(world.table, 15 * MINUTE_MS);
  const port =
    <Port>(made: Port) =>
    () =>
      made;
  const { queue, compute, volumes, blobs, sealer, githubKeys } = world.ctx;
  const uses = ["table", "queue", "compute", "sealer", "volumes", "blobs", "githubKeys"] as const;
  const output = recordOutput();
  const handler = consumerLambda(work.consume({ uses }, eachRequest(reconcile)), {
    table: port(table),
    queue: port(queue),
    compute: port(compute),
    sealer: port(sealer),
    volumes: port(volumes),
    blobs: port(blobs),
    githubKeys: port(githubKeys),
  });

  const result = await handler({ Records });
  const lines = output.stop();

  expect(result.batchItemFailures).toEqual(Records.map(({ messageId }) => ({ itemIdentifier: messageId })));
  expect(world.table.all()).toEqual(records);
  const told = lines.filter(({ event }) => event === "clock wrong");
  expect(told).toEqual([expect.objectContaining({ level: "error", ClocksWrong: 1 })]);
  expect(lines.filter(({ event }) => event === "due where no sweep looks")).toEqual([]);
});

test("a schedule with a wrong clock ends with an error before it writes anything", async () => {
  const { table } = clocked(memoryTable(), 15 * MINUTE_MS);
  const schedule = cron.every({ minutes: 1, uses: ["table"] }, async (ctx) => ctx.table.put(item));
  const output = recordOutput();

  await expect(scheduleLambda(schedule, { table: () => table })()).rejects.toThrow("The schedule failed");
  output.stop();

  expect(await table.get(key)).toBeUndefined();
});

test("a function with a wrong clock answers requests as long as they write nothing", async () => {
  const { ports } = await fixtureRuntime({ expiresAt: Number.MAX_SAFE_INTEGER });
  const { table } = clocked(ports.table, 15 * MINUTE_MS);
  const reply = z.object({ user: z.string() });
  const show = gpuDev.endpoint(
    createRoute({ method: "get", path: "/v1/me", responses: { 200: jsonReply(reply) } }),
    { uses: ["table"] },
    async ({ ctx }) => {
      await ctx.table.get(key);
      return { user: ctx.actor.username };
    },
  );
  const write = gpuDev.endpoint(
    createRoute({ method: "post", path: "/v1/me", responses: { 200: jsonReply(reply) } }),
    { uses: ["table"] },
    async ({ ctx }) => {
      await ctx.table.put(item);
      return { user: ctx.actor.username };
    },
  );
  const event = (method: string) => {
    const requestContext = { domainName: "api.test", http: { method, path: "/v1/me" } };
    const headers = { "x-berth-origin": secret, ...asAlice };
    return { version: "2.0", rawPath: "/v1/me", rawQueryString: "", requestContext, headers };
  };
  const output = recordOutput();

  const shown = await lambda(show, { table: () => table })(event("GET"));
  const written = await lambda(write, { table: () => table })(event("POST"));
  output.stop();

  expect([shown.statusCode, written.statusCode]).toEqual([200, 503]);
  expect(await table.get(key)).toBeUndefined();
});
