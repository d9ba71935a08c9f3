import type { ConsumerEntry, FunctionEntry, FunctionsFile } from "./functions-file.ts";
import type { Queues } from "./queues.ts";

/** How many batches of a queue are dealt with at once, at most: what is behind the consumers has limits too. */
const most: Readonly<Record<ConsumerEntry["queue"], number>> = { work: 50, pools: 20, webhooks: 20 };

/** Each consumer receives from its queue, and only what failed comes again. */
export function subscribeConsumers(
  functions: FunctionsFile,
  queues: Queues,
  functionOf: (entry: FunctionEntry) => sst.aws.Function,
): void {
  for (const entry of functions) {
    if (entry.kind !== "consumer") continue;
    queues[entry.queue].subscribe(functionOf(entry).arn, {
      batch: { size: 10, partialResponses: true },
      transform: {
        eventSourceMapping: (mapping) => {
          mapping.scalingConfig = { maximumConcurrency: most[entry.queue] };
        },
      },
    });
  }
}
