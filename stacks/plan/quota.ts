import type { Resource } from "#tests/synthesis/synthesize.ts";

/**
 * Lambda refuses a reservation that leaves an account less than this for all other functions (Lambda Developer Guide,
 * "Configuring reserved concurrency").
 */
const LEFT_UNRESERVED = 100;

export function quotaLines(resources: readonly Resource[]): string[] {
  const functions = resources.filter(({ type, read: result }) => type === "aws:lambda/function:Function" && !result);
  const reserved = functions.reduce((sum, { inputs }) => sum + (inputs.reservedConcurrentExecutions ?? 0), 0);
  const least = reserved + LEFT_UNRESERVED;
  return [
    `Lambda keeps ${reserved} concurrent executions for functions of this stage, and ${LEFT_UNRESERVED} for all others. So the`,
    `account needs a quota of ${least} or more beside what its other stages reserve; docs/deploy.md asks for 1,000. A new`,
    "account may have 10, and a deployment would then end half way. What yours has:",
    "  aws lambda get-account-settings --query AccountLimit",
  ];
}
