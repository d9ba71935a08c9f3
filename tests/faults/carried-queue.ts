import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import { type MemoryQueue, memoryQueue } from "../fakes/memory-queue.ts";

/** A queue that is a real one's, and what its worker does there: take one message, if there is one, and delete it. */
export interface Carrier {
  readonly queue: Queue;
  take(queue: QueueName): Promise<ReconcileRequest | undefined>;
}

/**
 * The queues in memory, for messages that were carried through another queue first: each is handed out as it came from
 * there. A delay is counted here, since that queue counts by another clock than the world's.
 */
export function carriedQueue({ clock, carrier }: { readonly clock: Pick<Clock, "now">; readonly carrier: Carrier }) {
  const memory = memoryQueue({ clock });
  // One message after the other, so that each is taken with the options that it was sent with.
  let before: Promise<unknown> = Promise.resolve();
  const carry: Queue["send"] = async (queue, message, options = {}) => {
    await carrier.queue.send(queue, message, { ...options, delaySeconds: 0 });
    const carried = await carrier.take(queue);
    if (!carried) throw new Error(`The queue ${queue} lost the look at ${message.look}`);
    await memory.send(queue, carried, options);
  };
  return {
    ...memory,
    send(queue, message, options) {
      const sent = before.then(() => carry(queue, message, options));
      before = sent.catch(() => undefined);
      return sent;
    },
    async depth(queue) {
      const [there, here] = [await carrier.queue.depth(queue), await memory.depth(queue)];
      return { visible: there.visible + here.visible, delayed: there.delayed + here.delayed };
    },
  } satisfies MemoryQueue;
}
