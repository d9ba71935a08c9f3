import type { Resource } from "#tests/synthesis/synthesize.ts";
import { reservedConcurrency } from "../compute/concurrency.ts";
import type { FunctionsFile } from "../compute/functions-file.ts";
import type { QuotaNeed } from "./quota-check.ts";

/**
 * Lambda refuses a reservation that leaves an account less than this for all other functions (Lambda Developer Guide,
 * "Configuring reserved concurrency").
 */
const LEFT_UNRESERVED = 100;

/** Returns the quota of Lambda that a stage with these resources needs. */
export function findConcurrencyNeed(resources: readonly Resource[]): QuotaNeed {
  return describeConcurrency(sumReserved(resources));
}

/** Returns the quota of Lambda that a stage with these functions needs, without a synthesis. */
export function findNeedOfFunctions(functions: FunctionsFile): QuotaNeed {
  return describeConcurrency(functions.reduce((sum, entry) => sum + (reservedConcurrency(entry) ?? 0), 0));
}

function describeConcurrency(reserved: number): QuotaNeed {
  return {
    service: "lambda",
    name: "Concurrent executions",
    code: "L-B99A9384",
    least: reserved + LEFT_UNRESERVED,
    unit: "concurrent executions",
    reason: `this stage reserves ${reserved}, and Lambda keeps ${LEFT_UNRESERVED} for all others`,
  };
}

function sumReserved(resources: readonly Resource[]): number {
  const functions = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  return functions.reduce((sum, { inputs }) => sum + (inputs.reservedConcurrentExecutions ?? 0), 0);
}

export function quotaLines(resources: readonly Resource[]): string[] {
  const reserved = sumReserved(resources);
  const least = reserved + LEFT_UNRESERVED;
  return [
    `Lambda keeps ${reserved} concurrent executions for functions of this stage, and ${LEFT_UNRESERVED} for all others. So the`,
    `account needs a quota of ${least} or more beside what its other stages reserve; docs/deploy.md asks for 1,000. A new`,
    "account may have 10, and a deployment would then end half way. What yours has:",
    "  aws lambda get-account-settings --query AccountLimit",
  ];
}
