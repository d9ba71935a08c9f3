import type { Context, PortName, UserContext } from "#core/context.ts";
import { beginCreate, type ChosenIds, keepFailure, keepReply, type NewThing } from "#core/idempotency.ts";
import { Problem } from "#core/problem.ts";
import { type Exchange, headersOf } from "./exchange.ts";
import { Refusal } from "./refusal.ts";

const keyForm = /^[\x20-\x7e]{1,255}$/;

/** The Idempotency-Key of a request, or undefined. Throws `invalid` for one that has not the form of one. */
export function readIdempotencyKey(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key");
  if (key === null || keyForm.test(key)) return key ?? undefined;
  throw new Problem("invalid", "Idempotency-Key must be 1 to 255 printable ASCII characters");
}

export interface KeyedInput {
  readonly ctx: Context<PortName>;
  readonly exchange: Exchange;
  readonly key: string;
  /** The body as it was sent, before defaults. */
  readonly body: unknown;
  readonly chosen: ChosenIds;
}

/**
 * Answers a create that came with an Idempotency-Key: once by `make`, and again with the same status and body and
 * `Idempotency-Replayed` (docs/apis/common.md#idempotency-key). Throws a Refusal when the key was used for another
 * body.
 */
export async function answerOnce(
  { ctx, exchange, key, body, chosen }: KeyedInput,
  make: (thing: NewThing) => Promise<Response>,
): Promise<Response> {
  const asked = withActor(ctx, exchange);
  const { method, path } = exchange;
  const begun = await beginCreate(asked, { method, path, key, body: JSON.stringify(body) }, chosen);
  if (begun.kind === "otherRequest") throw new Refusal("otherRequest");
  if (begun.kind === "replay") {
    const { status, text } = begun.reply;
    return new Response(text, { status, headers: { ...headersOf(exchange, "application/json"), ...replayed } });
  }
  const { create, isRepeat } = begun;
  const response = await make({ ...create.thing, isRepeat }).catch(async (error: unknown) => {
    await unlessLost(asked, keepFailure(asked, create, error));
    throw error;
  });
  const reply = { status: response.status, text: await response.clone().text() };
  await unlessLost(asked, keepReply(asked, create, reply));
  for (const [name, value] of Object.entries(isRepeat ? replayed : {})) response.headers.set(name, value);
  return response;
}

const replayed = { "Idempotency-Replayed": "true" };

/** What is made is made, and what failed has failed: a repeat finds its way without this note. */
async function unlessLost({ log }: Pick<Context, "log">, note: Promise<void>): Promise<void> {
  await note.catch((error: unknown) => log.warn("idempotency note lost", { error: String(error) }));
}

/** Only endpoints behind a key are keyed creates. */
function withActor(ctx: Context<PortName>, { actor, dialect }: Exchange): UserContext<PortName> {
  if (!actor) throw new Error("A create under an Idempotency-Key needs somebody who asks");
  return { ...ctx, actor, dialect: dialect.name, noun: dialect.noun };
}
