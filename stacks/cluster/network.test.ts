import { expect, test } from "vitest";
import { groupByZone } from "./network.ts";

const subnets = [
  ["subnet-1", "us-east-1a"],
  ["subnet-2", "us-east-1b"],
  ["subnet-3", "us-east-1a"],
  ["subnet-4", "us-east-1c"],
] as const;

test("a zone has all of its subnets, and no other zone is used", () => {
  expect([...groupByZone(subnets, ["us-east-1a", "us-east-1b"])]).toEqual([
    ["us-east-1a", ["subnet-1", "subnet-3"]],
    ["us-east-1b", ["subnet-2"]],
  ]);
});

test("a zone without a subnet fails the deployment with its name", () => {
  expect(() => groupByZone(subnets, ["us-east-1a", "us-east-1d"])).toThrow("VPC_SUBNETS has no subnet in us-east-1d");
});
