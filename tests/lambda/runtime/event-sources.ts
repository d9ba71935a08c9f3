import type { Resource } from "../../synthesis/synthesize.ts";
import type { DeployedFunctions } from "../deployed.ts";
import { sqsEvent } from "./events.ts";
import { eventQueues, type Services } from "./services.ts";

export interface Delivered {
  /** Name in functions.json. */
  readonly consumer: string;
  readonly messages: number;
  readonly failed: number;
}

/**
 * Runs the synthesized event source mappings: passes a batch to its function, deletes the messages that succeeded, and
 * leaves the others in the queue (Lambda Developer Guide, "Handling errors for an SQS event source in Lambda").
 */
export function eventSources(
  resources: readonly Resource[],
  deployed: DeployedFunctions,
  services: Services,
): () => Promise<Delivered[]> {
  const mappings = resources
    .filter(({ type }) => type === "aws:lambda/eventSourceMapping:EventSourceMapping")
    .map(({ inputs }) => ({ arn: String(inputs.eventSourceArn), name: String(inputs.functionName), inputs }));
  const sources = eventQueues.map((queue) => {
    const found = mappings.find(({ arn }) => arn.endsWith(`:${services.nameOf(queue)}`));
    if (!found) throw new Error(`Nothing receives from ${queue}`);
    return { queue, ...found };
  });

  async function deliverFrom({ queue, arn, name, inputs }: (typeof sources)[number]): Promise<Delivered | undefined> {
    const messages = await services.receive(queue, inputs.batchSize);
    if (messages.length === 0) return undefined;
    const answered = await deployed.named(name).invoke(sqsEvent(arn, messages));
    if ("error" in answered) throw new Error(`${name}: ${JSON.stringify(answered.error)}`);
    const { batchItemFailures } = answered.value as Result;
    const failed = new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    await services.remove(
      queue,
      messages.filter(({ id }) => !failed.has(id)),
    );
    return { consumer: deployed.entryOf(name).name, messages: messages.length, failed: failed.size };
  }

  return async () => {
    const delivered: Delivered[] = [];
    for (;;) {
      const round: Delivered[] = [];
      for (const source of sources) {
        const delivered = await deliverFrom(source);
        if (delivered) round.push(delivered);
      }
      if (round.length === 0) return delivered;
      delivered.push(...round);
    }
  };
}

interface Result {
  readonly batchItemFailures: readonly { readonly itemIdentifier: string }[];
}
