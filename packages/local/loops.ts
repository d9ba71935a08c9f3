import { setTimeout as sleep } from "node:timers/promises";
import type { Context, PortName } from "#core/context.ts";
import type { QueueName } from "#core/ports/queue.ts";
import { runSchedule, type Schedule } from "#http/cron.ts";
import { type Consumer, consume } from "#http/work.ts";
import type { Message } from "#sqlite/line.ts";
import type { Receiver } from "#sqlite/queue.ts";

interface LoopOptions {
  readonly receiver: Receiver;
  readonly ctx: Context<PortName>;
  readonly atOnce: number;
}

export interface Loop {
  stop(): Promise<void>;
}

/**
 * Concurrent batches per queue. A pool never has more than one (FIFO group), and a batch is one plan. A webhook
 * delivery mostly waits for its receiver.
 */
export const batchesAtOnce = { work: 16, pools: 8, webhooks: 64 } as const satisfies Record<QueueName, number>;

/** Feeds a consumer from its queue, as Lambda's event source mapping does. */
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
    for (const batch of await options.receiver.receive(consumer.queue, options.atOnce - running.size, signal)) {
      const work = handle(consumer, options, batch, signal).finally(() => running.delete(work));
      running.add(work);
    }
  }
}

/** A failed message blocks its FIFO group while it is hidden. */
const againAfterMs = 1_000;

/**
 * A plan for a thousand nodes reads as many items on the thread that also reconciles grants. So a pool rests three
 * times as long as its plan took, at most a second, and later messages join the next plan.
 */
const [rests, longestRestMs] = [3, 1_000];

/** Never throws: an unacknowledged message is redelivered, and any message may arrive twice. */
async function handle(
  consumer: Consumer,
  { receiver, ctx }: LoopOptions,
  batch: readonly Message[],
  signal: AbortSignal,
): Promise<void> {
  const { queue } = consumer;
  const { clock } = ctx;
  const bodies = batch.map(({ text }) => text);
  const begun = clock.monotonic();
  const again = await consume(consumer, ctx, bodies);
  // Until the batch is acknowledged, no other batch of its pool is received.
  if (queue === "pools") await clock.sleep(Math.min((clock.monotonic() - begun) * rests, longestRestMs), signal);
  const acknowledge = ({ id }: Message) =>
    receiver.acknowledge(queue, id).catch((error: unknown) => {
      ctx.log.warn("acknowledge failed", { queue, error: String(error) });
    });
  for (const at of again) receiver.release(queue, (batch[at] as Message).id, againAfterMs);
  await Promise.all(batch.filter((_, at) => !again.includes(at)).map(acknowledge));
}

interface TimerOptions {
  readonly name: string;
  readonly ctx: Context<PortName>;
}

/**
 * Runs a schedule at once and then repeatedly, without overlap. A minute of a schedule lasts SWEEP_SECONDS here. The
 * first run is immediate because much may be due after days off.
 */
export function startTimer(schedule: Schedule, { name, ctx }: TimerOptions): Loop {
  const aborted = new AbortController();
  const running = repeat(schedule, { name, ctx }, aborted.signal);
  return {
    async stop() {
      aborted.abort();
      await running;
    },
  };
}

async function repeat(schedule: Schedule, { name, ctx }: TimerOptions, signal: AbortSignal): Promise<void> {
  const everyMs = schedule.minutes * ctx.settings.sweepSeconds * 1000;
  while (!signal.aborted) {
    const startedAt = ctx.clock.monotonic();
    await runSchedule(schedule, ctx, name, signal);
    const rest = Math.max(0, everyMs - (ctx.clock.monotonic() - startedAt));
    await sleep(rest, undefined, { signal }).catch(() => undefined);
  }
}
