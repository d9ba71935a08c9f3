import { randomUUID } from "node:crypto";
import { GetQueueAttributesCommand, SendMessageCommand, SQSClient } from "@aws-sdk/client-sqs";
import type { Queue, QueueName, ReconcileRequest, SendOptions } from "#core/ports/queue.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "../client-options.ts";
import { readConfig } from "../settings/config.ts";

export interface SqsQueueOptions {
  readonly client: SQSClient;
  readonly urls: Readonly<Record<QueueName, string>>;
}

export const queue = (): Queue => {
  const config = readConfig(["WORK_QUEUE_URL", "POOLS_QUEUE_URL", "WEBHOOKS_QUEUE_URL"]);
  const { WORK_QUEUE_URL: work, POOLS_QUEUE_URL: pools, WEBHOOKS_QUEUE_URL: webhooks } = config;
  return sqsQueue({ client: sqsClient(), urls: { work, pools, webhooks } });
};

/** Returns an SQS client with our time limits, by default for the environment. A long poll needs more time. */
export function sqsClient(address?: ServiceAddress, patience?: ServicePatience): SQSClient {
  return new SQSClient(clientOptions(address, patience));
}

/** Implements Queue on SQS. `pools` is a FIFO queue grouped by pool (docs/architecture/reconciliation.md). */
export function sqsQueue({ client, urls }: SqsQueueOptions): Queue {
  return {
    async send(queueName, message, options = {}) {
      const fields = queueName === "pools" ? fifoFields(options) : standardFields(options);
      await client.send(
        new SendMessageCommand({ QueueUrl: urls[queueName], MessageBody: getBody(message), ...fields }),
      );
    },
    async depth(queueName) {
      const AttributeNames = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed"] as const;
      const command = new GetQueueAttributesCommand({
        QueueUrl: urls[queueName],
        AttributeNames: [...AttributeNames],
      });
      const { Attributes } = await client.send(command);
      const [visible = 0, delayed = 0] = AttributeNames.map((name) => Number(Attributes?.[name] ?? 0));
      return { visible, delayed };
    },
  };
}

function standardFields({ delaySeconds = 0, group }: SendOptions) {
  if (group !== undefined) throw new Error("A standard queue has no groups");
  requireDelay(delaySeconds);
  return { DelaySeconds: delaySeconds };
}

function fifoFields({ delaySeconds = 0, group }: SendOptions) {
  requireDelay(delaySeconds);
  if (delaySeconds !== 0) throw new Error("The queue pools takes no delay per message");
  if (!group) throw new Error("The queue pools needs a group");
  return { MessageGroupId: group, MessageDeduplicationId: randomUUID() };
}

function requireDelay(delaySeconds: number): void {
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > 900) {
    throw new Error(`A delay must be 0 to 900 whole seconds, not ${delaySeconds}`);
  }
}

/** Returns ASCII: SQS refuses some characters that JSON leaves unescaped (U+FFFE, most controls). */
function getBody(message: ReconcileRequest): string {
  return JSON.stringify(message).replace(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
