import type { ConsumerEntry, FunctionEntry, FunctionsFile } from "./functions-file.ts";
import type { Queues } from "./queues.ts";

interface Receiving {
  /** So many messages come at once, and have the timeout of the consumer between them. */
  readonly batch: number;
  /** So many batches are dealt with at once, at most: what is behind the consumers has limits too. */
  readonly most: number;
}

/**
 * Ten messages of one pool are one plan; a planner hands back the pools that it had no time for
 * (core/pools/planner.ts).
 */
const receiving: Readonly<Record<ConsumerEntry["queue"], Receiving>> = {
  work: { batch: 10, most: 50 },
  pools: { batch: 10, most: 20 },
  webhooks: { batch: 10, most: 20 },
};

/** Each consumer receives from its queue, and only what failed comes again. */
export function subscribeConsumers(
  functions: FunctionsFile,
  queues: Queues,
  functionOf: (entry: FunctionEntry) => sst.aws.Function,
): void {
  for (const entry of functions) {
    if (entry.kind !== "consumer") continue;
    const { batch, most } = receiving[entry.queue];
    queues[entry.queue].subscribe(functionOf(entry).arn, {
      batch: { size: batch, partialResponses: true },
      transform: {
        eventSourceMapping: (mapping) => {
          mapping.scalingConfig = { maximumConcurrency: most };
        },
      },
    });
  }
}
