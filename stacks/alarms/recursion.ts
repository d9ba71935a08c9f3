import { logicalName } from "../compute/functions.ts";
import type { FunctionEntry, FunctionsFile } from "../compute/functions-file.ts";
import { queuesSentTo } from "../compute/roles.ts";

/**
 * Allows functions to trigger themselves through their queues. A reconcile requests the next one of its record, and a
 * plan the next plan of its pool. By default Lambda stops such a loop after about 16 invocations and moves the
 * message to the dead-letter queue (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).
 */
export function allowLoops(functions: FunctionsFile, getFunction: (entry: FunctionEntry) => sst.aws.Function): void {
  for (const entry of functionsInLoops(functions)) {
    new aws.lambda.FunctionRecursionConfig(`${logicalName(entry)}Recursion`, {
      functionName: getFunction(entry).name,
      recursiveLoop: "Allow",
    });
  }
}

function functionsInLoops(functions: FunctionsFile): FunctionEntry[] {
  return functions.filter((entry) => {
    const queue = findQueue(entry);
    return queue !== undefined && reachableQueues(entry, functions).has(queue);
  });
}

function findQueue(entry: FunctionEntry): string | undefined {
  if (entry.kind === "socket") return "shell";
  return entry.kind === "consumer" ? entry.queue : undefined;
}

function reachableQueues(start: FunctionEntry, functions: FunctionsFile): ReadonlySet<string> {
  const reached = new Set<string>(queuesSentTo(start));
  // Iterating over a set includes the queues that this loop adds.
  for (const queue of reached) {
    for (const entry of functions) {
      if (findQueue(entry) === queue) for (const next of queuesSentTo(entry)) reached.add(next);
    }
  }
  return reached;
}
