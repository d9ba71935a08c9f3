import { setTimeout as sleep } from "node:timers/promises";
import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from "@aws-sdk/client-sqs";
import type { Context, PortName, QueueName } from "#core/context.ts";
import { type Consumer, consume } from "#http/work.ts";

export interface LoopOptions {
  readonly client: SQSClient;
  readonly url: string;
  readonly ctx: Context<PortName>;
  /** How many messages are dealt with at once. */
  readonly atOnce: number;
}

export interface Loop {
  /** Receives no more and waits for what is being dealt with. */
  stop(): Promise<void>;
}

/**
 * How many messages of each queue are dealt with at once; of one pool never more than one (FIFO group). A delivery waits
 * for its receiver and costs nothing meanwhile.
 */
export const messagesAtOnce = { work: 16, pools: 8, webhooks: 64 } as const satisfies Record<QueueName, number>;

/** Feeds a consumer from its queue by long polls, as Lambda's event source does. */
export function startLoop(consumer: Consumer, options: LoopOptions): Loop {
  const aborted = new AbortController();
  const running = new Set<Promise<void>>();
  const polling = poll(consumer, options, { running, signal: aborted.signal });
  return {
    async stop() {
      aborted.abort();
      await polling;
      await Promise.all(running);
    },
  };
}

interface Progress {
  readonly running: Set<Promise<void>>;
  readonly signal: AbortSignal;
}

const pauseAfterFailureMs = 200;

async function poll(consumer: Consumer, options: LoopOptions, { running, signal }: Progress): Promise<void> {
  while (!signal.aborted) {
    if (running.size >= options.atOnce) await Promise.race(running);
    try {
      for (const message of await receive(options, options.atOnce - running.size, signal)) {
        const work = handle(consumer, options, message).finally(() => running.delete(work));
        running.add(work);
      }
    } catch (error) {
      if (signal.aborted) return;
      options.ctx.log.warn("receive failed", { queue: consumer.queue, error: String(error) });
      await sleep(pauseAfterFailureMs);
    }
  }
}

async function receive({ client, url }: LoopOptions, free: number, abortSignal: AbortSignal): Promise<Message[]> {
  const MaxNumberOfMessages = Math.min(10, free);
  const command = new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages, WaitTimeSeconds: 20 });
  const { Messages = [] } = await client.send(command, { abortSignal });
  return Messages;
}

// SQS would show it again only after the visibility timeout, and a FIFO group would stand still for that long.
const againAfterSeconds = 1;

/** Never throws: a message that could not be acknowledged comes again, and any message may come twice. */
async function handle(consumer: Consumer, { client, url, ctx }: LoopOptions, message: Message): Promise<void> {
  const { Body = "", ReceiptHandle } = message;
  const again = await consume(consumer, ctx, [Body]);
  const receipt = { QueueUrl: url, ReceiptHandle };
  const command =
    again.length === 0
      ? new DeleteMessageCommand(receipt)
      : new ChangeMessageVisibilityCommand({ ...receipt, VisibilityTimeout: againAfterSeconds });
  await sendAny(client, command).catch((error: unknown) => {
    ctx.log.warn("acknowledge failed", { queue: consumer.queue, error: String(error) });
  });
}

/** The client's `send` has one overload for each command and none for two of them. */
function sendAny(client: SQSClient, command: DeleteMessageCommand | ChangeMessageVisibilityCommand): Promise<unknown> {
  return command instanceof DeleteMessageCommand ? client.send(command) : client.send(command);
}
