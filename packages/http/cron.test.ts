import { expect, test } from "vitest";
import { fixtureRuntime } from "#tests/worlds/fixture-endpoints.ts";
import { cron, runSchedule } from "./cron.ts";
import { createContext } from "./runtime.ts";

test("a schedule is plain data", () => {
  const verb = async () => {};

  expect(cron.every({ minutes: 1, uses: ["table"] }, verb)).toEqual({
    kind: "schedule",
    minutes: 1,
    atStart: false,
    uses: ["table"],
    timeoutSeconds: 50,
    memoryMb: 512,
    verb,
  });
});

test("a failed schedule is logged, and the next one still runs", async () => {
  const runtime = await fixtureRuntime();
  const schedule = cron.every({ minutes: 1, uses: [] }, async () => {
    throw new Error("no cluster");
  });

  expect(await runSchedule(schedule, createContext(runtime), "schedules/auto-stop")).toBe(false);

  expect(runtime.log.lines).toMatchObject([{ event: "schedule failed", fields: { schedule: "schedules/auto-stop" } }]);
});
