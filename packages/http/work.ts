import type { Context, PortName } from "#core/context.ts";
import type { Look, QueueName } from "#core/ports/queue.ts";

/** A consumer of a queue, as data. */
export interface Consumer<Uses extends PortName = PortName> {
  readonly kind: "consumer";
  readonly queue: QueueName;
  readonly uses: readonly Uses[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: BatchVerb<PortName>;
}

/**
 * Deals with the looks of one batch, in the order received, and answers those that have to come again; nothing means
 * that all are done. When it throws, all of them come again. Any of them may come twice.
 */
export type BatchVerb<Uses extends PortName> = (
  ctx: Context<Uses>,
  looks: readonly Look[],
  // biome-ignore lint/suspicious/noConfusingVoidType: a verb that has nothing to report just ends
) => Promise<readonly Look[] | void>;

interface ConsumerOptions<Uses extends PortName> {
  readonly uses: readonly Uses[];
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

export const work = queueNamed("work");
export const pools = queueNamed("pools");
export const webhooks = queueNamed("webhooks");

/** A batch verb of a verb for one look: all at once, and only those that failed come again. */
export function eachLook<Uses extends PortName>(
  verb: (ctx: Context<Uses>, look: Look) => Promise<unknown>,
): BatchVerb<Uses> {
  return async (ctx, looks) => {
    const results = await Promise.allSettled(looks.map((look) => verb(ctx, look)));
    return looks.filter((look, at) => {
      const result = results[at];
      if (result?.status !== "rejected") return false;
      ctx.log.error("look failed", { look: look.look, error: describe(result.reason) });
      return true;
    });
  };
}

/**
 * Gives a consumer the bodies of received messages, and returns the positions of those that must be received again.
 * Never throws. A body that is no look is logged and counts as done, because a retry would not help.
 */
export async function consume<Uses extends PortName>(
  consumer: Consumer<Uses>,
  ctx: Context<Uses>,
  bodies: readonly string[],
): Promise<number[]> {
  const looks = bodies.map(lookOf);
  const readable = looks.filter((look) => look !== undefined);
  if (readable.length < looks.length) {
    ctx.log.error("unreadable messages", { queue: consumer.queue, count: looks.length - readable.length });
  }
  if (readable.length === 0) return [];
  const again = await attempt(consumer, ctx, readable);
  return looks.flatMap((look, at) => (look && again.includes(look) ? [at] : []));
}

async function attempt<Uses extends PortName>(
  consumer: Consumer<Uses>,
  ctx: Context<Uses>,
  looks: readonly Look[],
): Promise<readonly Look[]> {
  try {
    return (await consumer.verb(withAllPorts(ctx), looks)) ?? [];
  } catch (error) {
    ctx.log.error("batch failed", { queue: consumer.queue, looks: looks.length, error: describe(error) });
    return looks;
  }
}

function queueNamed(queue: QueueName) {
  return {
    consume: <Uses extends PortName = never>(
      { uses, timeoutSeconds = 60, memoryMb = 512 }: ConsumerOptions<Uses>,
      verb: BatchVerb<Uses>,
    ): Consumer<Uses> => ({ kind: "consumer", queue, uses, timeoutSeconds, memoryMb, verb }),
  };
}

function lookOf(body: string): Look | undefined {
  try {
    const message: unknown = JSON.parse(body);
    return isLook(message) ? message : undefined;
  } catch {
    return undefined;
  }
}

function isLook(message: unknown): message is Look {
  if (typeof message !== "object" || message === null || !("look" in message)) return false;
  const named = "for" in message ? message.for : [];
  return typeof message.look === "string" && Array.isArray(named) && named.every((key) => typeof key === "string");
}

/** Sound because a consumer's type admits only verbs that use the ports in `Uses`. */
function withAllPorts<Uses extends PortName>(ctx: Context<Uses>): Context<PortName> {
  return ctx as unknown as Context<PortName>;
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
