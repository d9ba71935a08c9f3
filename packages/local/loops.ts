import type { Context, PortName } from "#core/context.ts";
import type { QueueName } from "#core/ports/queue.ts";
import { type Consumer, consume } from "#http/work.ts";
import type { Message } from "#sqlite/line.ts";
import type { Receiver } from "#sqlite/queue.ts";

export interface LoopOptions {
  readonly receiver: Receiver;
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

/** Feeds a consumer from its queue, as Lambda's event source does. */
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

async function poll(consumer: Consumer, options: LoopOptions, { running, signal }: Progress): Promise<void> {
  while (!signal.aborted) {
    if (running.size >= options.atOnce) await Promise.race(running);
    for (const message of await options.receiver.receive(consumer.queue, options.atOnce - running.size, signal)) {
      const work = handle(consumer, options, message).finally(() => running.delete(work));
      running.add(work);
    }
  }
}

/** A FIFO group stands still for as long as a message that failed stays hidden. */
const againAfterMs = 1_000;

/** Never throws: a message that could not be acknowledged comes again, and any message may come twice. */
async function handle(consumer: Consumer, { receiver, ctx }: LoopOptions, { id, look }: Message): Promise<void> {
  const { queue } = consumer;
  const again = await consume(consumer, ctx, [JSON.stringify(look)]);
  if (again.length > 0) return receiver.release(queue, id, againAfterMs);
  await receiver.acknowledge(queue, id).catch((error: unknown) => {
    ctx.log.warn("acknowledge failed", { queue, error: String(error) });
  });
}
