import { logicalName } from "../../stacks/compute/functions.ts";
import type { FunctionEntry } from "../../stacks/compute/functions-file.ts";
import { type Check, different, functionIn, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

const gateway = (api: string) =>
  `lambda:InvokeFunction apigateway.amazonaws.com arn:aws:execute-api:us-east-1:123456789012:${api}/*`;

export const callerChecks = {
  /**
   * Checks the callers in the functions' policies. A missing caller makes a route answer 500. An extra one could let
   * any AWS account invoke the function.
   */
  callers(resources, functions) {
    const made = ofType(resources, "aws:lambda/permission:Permission").map(getCaller);
    // HEAD has its own permission, so callers repeat.
    return different("callers", [...new Set(made)], functions.flatMap(listCallers));
  },
} as const satisfies Record<string, Check>;

function getCaller({ inputs }: Resource): string {
  const { action, principal, sourceArn, functionUrlAuthType, invokedViaFunctionUrl } = inputs;
  const how = sourceArn ?? functionUrlAuthType ?? (invokedViaFunctionUrl ? "by its URL" : "in any way");
  return `${functionIn(inputs.function)}: ${action} ${principal} ${how}`;
}

/** Roles call schedules and read queues. A function URL needs both permissions (Lambda Developer Guide). */
function listCallers(entry: FunctionEntry): string[] {
  const by = (...callers: readonly string[]) => callers.map((caller) => `${logicalName(entry)}: ${caller}`);
  if (entry.kind === "socket") return by(gateway("socket/socket"));
  if (entry.kind === "fallback") return by(gateway("api"));
  if (entry.kind !== "endpoint") return [];
  if (!entry.functionUrl) return by(gateway("api"));
  return by("lambda:InvokeFunctionUrl * NONE", "lambda:InvokeFunction * by its URL");
}
