import type { Context, PortName, UserContext } from "#core/context.ts";
import {
  beginCreate,
  type ChosenIds,
  type KeyedRequest,
  keepFailure,
  keepReply,
  type NewThing,
} from "#core/idempotency.ts";
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

/** A create that is made once however often it is asked for. */
export interface OnceInput {
  readonly ctx: Context<PortName>;
  readonly exchange: Exchange;
  /** The body as it was sent, before defaults. */
  readonly body: unknown;
  readonly chosen: ChosenIds;
}

export interface KeyedInput extends OnceInput {
  readonly key: string;
}

type Make = (thing: NewThing) => Promise<Response>;

/**
 * Answers a create that came with an Idempotency-Key: once by `make`, and again with the same status and body and
 * `Idempotency-Replayed` (docs/apis/common.md#idempotency-key). Throws a Refusal when the key was used for another
 * body.
 */
export async function answerOnce({ key, ...input }: KeyedInput, make: Make): Promise<Response> {
  const { method, path } = input.exchange;
  return answerAs({ method, path, key }, input, make, () => new Refusal("otherRequest"));
}

/**
 * The same for a create whose client chose the id, which stands for an Idempotency-Key: as if it were put to a path of
 * its own. Throws `conflict` when the id was used for another body.
 */
export async function answerOnceById(input: OnceInput, make: Make): Promise<Response> {
  const { id } = input.chosen;
  const { path } = input.exchange;
  return answerAs({ method: "PUT", path: `${path}/${id}`, key: id }, input, make, () =>
    idTaken(input.exchange.dialect.noun, id),
  );
}

/** The id that a client chose stands for something else already. */
export function idTaken(noun: string, id: string): Problem {
  return new Problem("conflict", `${noun.slice(0, 1).toUpperCase()}${noun.slice(1)} ${id} already exists`);
}

async function answerAs(
  scope: Pick<KeyedRequest, "method" | "path" | "key">,
  { ctx, exchange, body, chosen }: OnceInput,
  make: Make,
  refusal: () => Error,
): Promise<Response> {
  const asked = withActor(ctx, exchange);
  const begun = await beginCreate(asked, { ...scope, body: JSON.stringify(body) }, chosen);
  if (begun.kind === "otherRequest") throw refusal();
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
