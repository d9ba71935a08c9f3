import { expect, test } from "vitest";
import { weighedTable } from "#tests/faults/weighed-table.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey } from "../../store/keys.ts";
import { readCapacity, readClusterStatus } from "../admission/availability.ts";
import { estimateErrorsKey, readEstimateErrors } from "./calibration.ts";

/** Returns the item with these starts: the estimated p50, p90 and latest, and the actual wait, in seconds. */
function getForecast(type: string, starts: unknown): Item {
  return { ...estimateErrorsKey(type), writers: [], kind: "forecast", at: 0, later: null, starts };
}

const late = [3_600, 7_200, 7_200, 14_400];
const early = [3_600, 7_200, 7_200, 1_800];
const exact = [3_600, 7_200, 7_200, 3_600];

test("returns the errors of the last starts of each type, sorted by type", () => {
  const items = [getForecast("h100", [exact, late, early, exact]), getForecast("a100", [late])];

  expect(readEstimateErrors(items, ["h100", "a100", "t4"])).toEqual([
    { type: "a100", starts: 1, covered: 0, medianError: 0.75 },
    { type: "h100", starts: 4, covered: 0.75, medianError: 0 },
  ]);
});

test("leaves out types without starts or with an unreadable forecast", () => {
  const broken = [undefined, null, 7, "starts", {}, [], [late.slice(1)], [[...late.slice(1), -1]], [null]];

  for (const starts of broken) expect(readEstimateErrors([getForecast("h100", starts)], ["h100"])).toEqual([]);
  expect(readEstimateErrors([{ ...estimateErrorsKey("h100"), writers: [], kind: "forecast" }], ["h100"])).toEqual([]);
  expect(readEstimateErrors([], ["h100"])).toEqual([]);
});

test("reads only the item of the starts, and only for the requested types", () => {
  const others = [null, "0"].map((digit) => ({ ...getForecast("h100", [late]), ...forecastKey("h100", digit) }));

  expect(readEstimateErrors([...others, getForecast("a100", [late])], ["h100"])).toEqual([]);
});

test("reads the errors with the ledgers in one batch, and shows other numbers if a forecast is unreadable", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  await world.advance(60_000);
  await world.table.put(getForecast("h100", [late]));
  await world.table.put(getForecast("a100", "nonsense"));
  const reads: number[] = [];
  const getMany: typeof world.table.getMany = (keys) => {
    reads.push(keys.length);
    return world.table.getMany(keys);
  };
  log.lines.length = 0;

  const { pools, estimateErrors } = await readClusterStatus({ ...world.ctx, table: { ...world.table, getMany } });

  expect(reads).toEqual([20]);
  expect(log.lines).toEqual([]);
  expect(pools.map(({ pool }) => pool)).toContain("h100");
  expect(estimateErrors).toEqual([{ type: "h100", starts: 1, covered: 0, medianError: 0.75 }]);
});

test("adds at most 8 KB per type to a status, however many jobs wait", async () => {
  const weight = { heads: 0, bytes: 0 };
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  for (let n = 0; n < 2_000; n++) await createEnvironment(world.as(`owner${n % 20}`), newEnvironment(`job${n}`));
  await world.advance(5_000);
  const starts = Array.from({ length: 200 }, () => Array(4).fill(34_560_000));
  const key = estimateErrorsKey("h100");
  await world.table.put({ ...(await world.table.get(key)), ...key, writers: [], kind: "forecast", starts } as Item);
  await world.advance(60_000);
  const ctx = { ...world.ctx, table: weighedTable(world.table, weight) };
  const weighed = async (read: () => Promise<unknown>) => {
    weight.bytes = 0;
    await read();
    return weight.bytes;
  };

  const capacity = await weighed(() => readCapacity(ctx));
  const status = await weighed(() => readClusterStatus(ctx));

  const errors = (await readClusterStatus(ctx)).estimateErrors;
  expect(errors).toEqual([{ type: "h100", starts: 200, covered: 1, medianError: 0 }]);
  expect(capacity).toBeGreaterThan(30_000);
  expect(status - capacity).toBeLessThan(8 * 1_024);
});
