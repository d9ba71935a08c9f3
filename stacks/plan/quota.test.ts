import { expect, test } from "vitest";
import { findConcurrencyNeed, quotaLines } from "./quota.ts";

const lambda = (reserved?: number) => ({
  type: "aws:lambda/function:Function",
  name: "any",
  read: false,
  inputs: reserved === undefined ? {} : { reservedConcurrentExecutions: reserved },
  after: [],
});

test("the quota is the concurrency that functions reserve, and 100 that Lambda keeps for all others", () => {
  const text = quotaLines([lambda(50), lambda(2), lambda(), { ...lambda(500), read: true }]).join("\n");

  expect(text).toContain("keeps 52 concurrent executions");
  expect(text).toContain("a quota of 152 or more");
});

test("the quota of Lambda that an account must have counts what functions reserve", () => {
  expect(findConcurrencyNeed([lambda(50), lambda(2), lambda()])).toMatchObject({
    service: "lambda",
    code: "L-B99A9384",
    least: 152,
  });
});
