import type { Context, PortName } from "#core/context.ts";
import { interruptionKinds } from "#core/ports/compute.ts";
import type { QueueName, ReconcileRequest } from "#core/ports/queue.ts";

export interface Consumer<Uses extends PortName = PortName> {
  readonly kind: "consumer";
  readonly queue: QueueName;
  readonly uses: readonly Uses[];
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: BatchVerb<PortName>;
}

/**
 * Handles the reconciles of one batch in order and returns those to retry. If it throws, all are retried. Any of them
 * may arrive twice.
 */
export type BatchVerb<Uses extends PortName> = (
  ctx: Context<Uses>,
  messages: readonly ReconcileRequest[],
  // biome-ignore lint/suspicious/noConfusingVoidType: a verb without messages to repeat returns nothing
) => Promise<readonly ReconcileRequest[] | void>;

interface ConsumerOptions<Uses extends PortName> {
  readonly uses: readonly Uses[];
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

export const work = queueNamed("work");
export const pools = queueNamed("pools");
export const webhooks = queueNamed("webhooks");

/** Runs a verb for each message concurrently and retries only those that failed. */
export function eachRequest<Uses extends PortName>(
  verb: (ctx: Context<Uses>, message: ReconcileRequest) => Promise<unknown>,
): BatchVerb<Uses> {
  return async (ctx, messages) => {
    const results = await Promise.allSettled(messages.map((message) => verb(ctx, message)));
    return messages.filter((message, at) => {
      const result = results[at];
      if (result?.status !== "rejected") return false;
      ctx.log.error("look failed", { look: message.look, error: describe(result.reason) });
      return true;
    });
  };
}

/**
 * Passes the bodies of received messages to a consumer, and returns the positions to retry. Never throws. Logs and
 * drops an unreadable body, because a retry would not help.
 */
export async function consume<Uses extends PortName>(
  consumer: Consumer<Uses>,
  ctx: Context<Uses>,
  bodies: readonly string[],
): Promise<number[]> {
  const messages = bodies.map(parseRequest);
  const readable = messages.filter((message) => message !== undefined);
  if (readable.length < messages.length) {
    ctx.log.error("unreadable messages", { queue: consumer.queue, count: messages.length - readable.length });
  }
  if (readable.length === 0) return [];
  const again = await attempt(consumer, ctx, readable);
  return messages.flatMap((message, at) => (message && again.includes(message) ? [at] : []));
}

async function attempt<Uses extends PortName>(
  consumer: Consumer<Uses>,
  ctx: Context<Uses>,
  messages: readonly ReconcileRequest[],
): Promise<readonly ReconcileRequest[]> {
  try {
    return (await consumer.verb(withAllPorts(ctx), messages)) ?? [];
  } catch (error) {
    ctx.log.error("batch failed", { queue: consumer.queue, looks: messages.length, error: describe(error) });
    return messages;
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

function parseRequest(body: string): ReconcileRequest | undefined {
  try {
    const message: unknown = JSON.parse(body);
    return isReconcileRequest(message) ? withNotice(message) : undefined;
  } catch {
    return undefined;
  }
}

/** Parses the notice of a message from EventBridge. Returns undefined if it is invalid. */
function withNotice(message: ReconcileRequest): ReconcileRequest | undefined {
  if (!("notice" in message)) return message;
  const { kind, machine, time }: Readonly<Record<string, unknown>> = { ...message.notice };
  const knownKind = interruptionKinds.find((known) => known === kind);
  const at = typeof time === "string" ? Date.parse(time) : Number.NaN;
  const isValid = typeof machine === "string" && /^[\w.-]{1,63}$/.test(machine) && !Number.isNaN(at);
  return knownKind && isValid ? { look: message.look, notice: { kind: knownKind, machine, at } } : undefined;
}

function isReconcileRequest(message: unknown): message is ReconcileRequest {
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
