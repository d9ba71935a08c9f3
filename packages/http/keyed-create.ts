import type { Context, PortName, UserContext } from "#core/context.ts";
import {
  beginCreate,
  type ChosenIds,
  type KeyedRequest,
  keepFailure,
  keepReply,
  type NewResource,
} from "#core/idempotency.ts";
import { Problem } from "#core/problem.ts";
import { type Exchange, headersOf } from "./exchange.ts";
import { Refusal } from "./refusal.ts";

const keyForm = /^[\x20-\x7e]{1,255}$/;

/** The Idempotency-Key of a request, or undefined. Throws `invalid` for a malformed one. */
export function readIdempotencyKey(headers: Headers): string | undefined {
  const key = headers.get("idempotency-key");
  if (key === null || keyForm.test(key)) return key ?? undefined;
  throw new Problem("invalid", "Idempotency-Key must be 1 to 255 printable ASCII characters");
}

/** A create that may be asked for again. */
interface Create {
  readonly ctx: Context<PortName>;
  readonly exchange: Exchange;
  /** The body as it was sent, before defaults. */
  readonly body: unknown;
  readonly chosen: ChosenIds;
}

interface RepeatedBy {
  /** The Idempotency-Key, if the request has one. */
  readonly key: string | undefined;
  /** The client chose the id: it stands for an Idempotency-Key too. */
  readonly isIdOfClient: boolean;
}

type Make = (resource: NewResource) => Promise<Response>;

/**
 * Answers a create by `make`: once for each Idempotency-Key and each id that a client chose, and again with the same
 * status and body and `Idempotency-Replayed` (docs/apis/common.md#idempotency-key). For another body it throws a Refusal
 * if the key was used before, and `conflict` if the id was.
 */
export async function makeOnce(create: Create, { key, isIdOfClient }: RepeatedBy, make: Make): Promise<Response> {
  const makeOnceById: Make = isIdOfClient ? (resource) => answerById({ ...create, chosen: resource }, make) : make;
  if (key === undefined) return makeOnceById({ ...create.chosen, isRepeat: false });
  const { method, path } = create.exchange;
  return answerAs({ method, path, key }, create, makeOnceById, () => new Refusal("otherRequest"));
}

/** The id stands for an Idempotency-Key: the create counts as if it were put to a path of its own. */
async function answerById(create: Create, make: Make): Promise<Response> {
  const { id } = create.chosen;
  const { path, dialect } = create.exchange;
  return answerAs({ method: "PUT", path: `${path}/${id}`, key: id }, create, make, () => idTaken(dialect.noun, id));
}

/** The id that a client chose belongs to something else already. */
export function idTaken(noun: string, id: string): Problem {
  return new Problem("conflict", `${noun.slice(0, 1).toUpperCase()}${noun.slice(1)} ${id} already exists`);
}

async function answerAs(
  scope: Pick<KeyedRequest, "method" | "path" | "key">,
  { ctx, exchange, body, chosen }: Create,
  make: Make,
  refusal: () => Error,
): Promise<Response> {
  const asked = withActor(ctx, exchange);
  const begun = await beginCreate(asked, { ...scope, body: comparable(body, chosen) }, chosen);
  if (begun.kind === "otherRequest") throw refusal();
  if (begun.kind === "replay") {
    const { status, text } = begun.reply;
    return new Response(text, { status, headers: { ...headersOf(exchange, "application/json"), ...replayed } });
  }
  const { create, isRepeat } = begun;
  const response = await make({ ...create.resource, isRepeat }).catch(async (error: unknown) => {
    await unlessLost(asked, keepFailure(asked, create, error));
    throw error;
  });
  const reply = { status: response.status, text: await response.clone().text() };
  await unlessLost(asked, keepReply(asked, create, reply));
  for (const [name, value] of Object.entries(isRepeat ? replayed : {})) response.headers.set(name, value);
  return response;
}

/** An id that the client chose is the same in upper case. */
function comparable(body: unknown, { id }: ChosenIds): string {
  return JSON.stringify(body, (_, value: unknown) =>
    typeof value === "string" && value.toLowerCase() === id ? id : value,
  );
}

const replayed = { "Idempotency-Replayed": "true" };

/** Logs a note that was not written: what was made or failed stays so, and a repeat finds it without the note. */
async function unlessLost({ log }: Pick<Context, "log">, note: Promise<void>): Promise<void> {
  await note.catch((error: unknown) => log.warn("idempotency note lost", { error: String(error) }));
}

/** Only endpoints behind a key may be creates. */
function withActor(ctx: Context<PortName>, { actor, dialect }: Exchange): UserContext<PortName> {
  if (!actor) throw new Error("A create under an Idempotency-Key needs somebody who asks");
  return { ...ctx, actor, dialect: dialect.name, noun: dialect.noun };
}
