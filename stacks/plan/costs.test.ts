import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { FunctionsFile } from "../compute/functions-file.ts";
import { countAlarmMetrics, estimateCosts, type Load, type Prices } from "./costs.ts";

const prices = JSON.parse(readFileSync(new URL("prices.json", import.meta.url), "utf8")) as Prices;
const functions = JSON.parse(readFileSync(new URL("../../functions.json", import.meta.url), "utf8")) as FunctionsFile;
const made = { "aws:cloudwatch/metricAlarm:MetricAlarm": 18, "aws:kms/key:Key": 1 };

function total(load: Partial<Load>): number {
  const lines = estimateCosts({ requestsPerDay: 0, activeEnvironments: 0, ...load }, functions, made, prices);
  return lines.reduce((sum, { usd }) => sum + usd, 0);
}

test("a line is the amount times the price, and fixed costs do not grow with requests", () => {
  const lines = estimateCosts({ requestsPerDay: 1_000_000, activeEnvironments: 0 }, functions, made, prices);
  const findUsd = (name: string) => lines.find(({ what: subject }) => subject === name)?.usd;

  // 30.4 million requests at one dollar a million, and 18 metrics of alarms at ten cents.
  expect(findUsd("requests at the HTTP API")).toBeCloseTo(30.4);
  expect(findUsd("metrics of alarms")).toBeCloseTo(1.8);
  expect(findUsd("the firewall and its rules")).toBe(7);
});

test("an alarm that reads two metrics counts as two", () => {
  const [calls, failed] = [{ metric: { metricName: "Invocations" } }, { metric: { metricName: "Errors" } }];

  expect(countAlarmMetrics({})).toBe(1);
  expect(countAlarmMetrics({ metricQueries: [{}, calls, failed] })).toBe(2);
});

test("the watch of the cluster runs all the time, and costs accordingly", () => {
  const lines = estimateCosts({ requestsPerDay: 0, activeEnvironments: 0 }, functions, made, prices);
  const findAmount = (name: string) => lines.find(({ what: subject }) => subject === name)?.amount;
  const others = functions.filter(({ kind, name }) => kind === "schedule" && name !== "schedules/watch");

  // 30.4 days of 144 runs, each 720 s with half a GB.
  expect(findAmount("the watch of the cluster, its time")).toBeCloseTo(30.4 * 144 * 720 * 0.5);
  expect(others.length).toBeGreaterThan(0);
  expect(findAmount("other schedules, their time")).toBeLessThan(30.4 * 1440 * others.length);
});

test("reconciles and plans cost the memory of their functions", () => {
  const larger = functions.map((entry) =>
    entry.name === "consumers/plan" ? { ...entry, memoryMb: 2 * entry.memoryMb } : entry,
  );
  const findTime = (all: FunctionsFile, name: string) =>
    estimateCosts({ requestsPerDay: 0, activeEnvironments: 100 }, all, made, prices).find(
      ({ what: subject }) => subject === name,
    )?.amount;

  expect(findTime(functions, "plans, their time")).toBeGreaterThan(0);
  expect(findTime(larger, "plans, their time")).toBe(2 * (findTime(functions, "plans, their time") ?? 0));
  expect(findTime(larger, "looks, their time")).toBe(findTime(functions, "looks, their time"));
});

test("web shells cost their messages, the minutes of their connections, and the polls of their queue", () => {
  const listLines = (all: FunctionsFile) =>
    estimateCosts({ requestsPerDay: 0, activeEnvironments: 1_000 }, all, made, prices).filter(
      ({ amount }) => amount > 0,
    );
  const getAmount = (all: FunctionsFile, name: string) =>
    listLines(all).find(({ what: subject }) => subject === name)?.amount ?? 0;
  const without = functions.filter(({ kind }) => kind !== "socket");

  // Of 1,000 environments each has a web shell for three minutes of an hour, in which three commands are typed.
  expect(getAmount(functions, "open web shells, minutes")).toBeCloseTo(1_000 * 30.4 * 24 * 3);
  expect(getAmount(functions, "messages of web shells")).toBeCloseTo(1_000 * 30.4 * 24 * 3 * 2.5);
  expect(getAmount(functions, "commands of web shells, their time")).toBeCloseTo(1_000 * 30.4 * 24 * 3 * 5 * 0.5);
  const polls = getAmount(functions, "polls of queues") - getAmount(without, "polls of queues");
  expect(polls).toBeCloseTo(30.4 * 1440 * 15);
});

test("10,000 jobs a day of an hour each cost the measured number of writes", () => {
  const load = { requestsPerDay: 0, activeEnvironments: 10_000 / 24, jobsPerDay: 10_000 };
  const writes = estimateCosts(load, functions, made, prices)
    .filter(({ price }) => price === "tableWrite")
    .reduce((sum, { amount }) => sum + amount, 0);

  expect(writes).toBeGreaterThan(47_000_000);
  expect(writes).toBeLessThan(1.1 * 83_000_000);
});

test("jobs cost by their number and by their hours", () => {
  const idle = total({});
  const [short = 0, long = 0] = [100, 1_000].map(
    (activeEnvironments) => total({ activeEnvironments, jobsPerDay: 2_400 }) - idle,
  );

  expect(total({ jobsPerDay: 4_800 }) - idle).toBeCloseTo(2 * (total({ jobsPerDay: 2_400 }) - idle));
  expect(long - short).toBeCloseTo(total({ activeEnvironments: 900 }) - idle);
});

test("the list of costs outside a stage names disks, the cluster, NAT gateways and load balancers", () => {
  const named = prices.beside.map(({ what: subject }) => subject).join("\n");

  for (const word of ["EBS", "EKS", "NAT", "load balancer"]) expect(named).toContain(word);
  for (const { usd, source } of prices.beside) expect([usd > 0, source.startsWith("https://")]).toEqual([true, true]);
});

test("each load has a cost in proportion", () => {
  const idle = total({});
  const requests = [1_000, 1_000_000].map((requestsPerDay) => total({ requestsPerDay }) - idle);

  expect(idle).toBeGreaterThan(0);
  expect((requests[1] ?? 0) / (requests[0] ?? 1)).toBeCloseTo(1_000);
  expect(total({ activeEnvironments: 1_000 }) - idle).toBeCloseTo(10 * (total({ activeEnvironments: 100 }) - idle));
});

test("each price has a date, a unit and a source", () => {
  expect(prices.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
  for (const { usd, per, source } of Object.values(prices.prices)) {
    expect([usd > 0, per >= 1, source.startsWith("https://")]).toEqual([true, true, true]);
  }
});
