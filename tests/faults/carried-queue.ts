import type { Clock } from "#core/ports/clock.ts";
import type { Queue, QueueName, ReconcileRequest } from "#core/ports/queue.ts";
import { type MemoryQueue, memoryQueue } from "../fakes/memory-queue.ts";

/** Real queue whose `take` receives and deletes one message, if there is one. */
export interface Carrier {
  readonly queue: Queue;
  take(queue: QueueName): Promise<ReconcileRequest | undefined>;
}

/**
 * Queues in memory whose messages pass through a real queue first, and are delivered as they came from there. Delays
 * count here, because the real queue has another clock than the world.
 */
export function carriedQueue({ clock, carrier }: { readonly clock: Pick<Clock, "now">; readonly carrier: Carrier }) {
  const memory = memoryQueue({ clock });
  // Messages go one by one, so that each is taken with the options of its send.
  let before: Promise<unknown> = Promise.resolve();
  const carry: Queue["send"] = async (queue, message, options = {}) => {
    await carrier.queue.send(queue, message, { ...options, delaySeconds: 0 });
    const carried = await carrier.take(queue);
    if (!carried) throw new Error(`The queue ${queue} lost the reconcile of ${message.look}`);
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
