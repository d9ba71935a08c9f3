import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { ReconcileRequest } from "../../ports/queue.ts";
import type { Item, Table } from "../../ports/table.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { planPools } from "./planner.ts";

/** `timeoutSeconds` of functions/consumers/plan.ts. */
const BATCH_MS = 15_000;
const CALL_MS = 10;
const pools = ["h100", "a100", "t4", "l4"];

test.each([
  { forecastMs: 100, made: 4 },
  { forecastMs: 2_000, made: 4 },
  { forecastMs: 4_000, made: 3 },
])("makes $made of four forecasts after all grants of a batch if each takes $forecastMs ms", async (row) => {
  const world = await memoryWorld({ nodes: newNodes(Object.fromEntries(pools.map((pool) => [pool, 1]))) });
  world.clock.advance(60_000);
  const messages: ReconcileRequest[] = [];
  for (const pool of pools) {
    const environment = await createEnvironment(world.as("alice"), newEnvironment(`first-${pool}`, { pool }));
    messages.push({ look: keyText(poolKey(pool)), for: [keyText(environment)] });
  }
  const { table, queue, clock } = world.ctx;
  let at = 0;
  const order: string[] = [];
  const put: Table["put"] = async (item, options) => {
    const { kind, standing } = item as Item;
    const isForecast = kind === "forecast" && standing !== undefined;
    at += isForecast ? row.forecastMs : CALL_MS;
    order.push(isForecast ? "forecast" : `${kind} item`);
    return table.put(item, options);
  };
  const send: typeof queue.send = async (...args) => {
    order.push("message");
    return queue.send(...args);
  };
  const ctx = {
    ...world.ctx,
    table: { ...table, put },
    queue: { ...queue, send },
    clock: { ...clock, monotonic: () => at },
  };

  const left = await planPools(ctx, messages);

  expect(left).toEqual([]);
  expect(order.filter((kind) => kind === "pool item")).toHaveLength(pools.length);
  expect(order.filter((kind) => kind === "forecast")).toHaveLength(row.made);
  expect(order.indexOf("forecast")).toBeGreaterThan(order.lastIndexOf("message"));
  expect(at).toBeLessThan(BATCH_MS);
});
