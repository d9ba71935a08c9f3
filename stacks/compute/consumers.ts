import type { Queues } from "../storage/queues.ts";
import { mostBatches } from "./concurrency.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";

/**
 * Messages per batch, which share the timeout of the consumer. Ten messages of one pool are one plan; a planner
 * returns the pools that it had no time for (core/pools/planner.ts).
 */
const BATCH = 10;

export function subscribeConsumers(
  functions: FunctionsFile,
  queues: Queues,
  getFunction: (entry: FunctionEntry) => sst.aws.Function,
): void {
  for (const entry of functions) {
    if (entry.kind !== "consumer") continue;
    queues[entry.queue].subscribe(getFunction(entry).arn, {
      batch: { size: BATCH, partialResponses: true },
      transform: {
        eventSourceMapping: (mapping) => {
          mapping.scalingConfig = { maximumConcurrency: mostBatches[entry.queue] };
        },
      },
    });
  }
}
