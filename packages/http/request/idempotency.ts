import type { Context, PortName, UserContext } from "#core/context.ts";
import { Problem } from "#core/problem.ts";
import {
  beginCreate,
  type ChosenIds,
  type KeyedRequest,
  keepFailure,
  keepReply,
  type NewResource,
} from "#core/store/idempotency.ts";
import { HttpError } from "../answers/http-error.ts";
import { type RequestScope, responseHeaders } from "../exchange.ts";
import { formatBody, type PlainHeaders, type PlainResponse } from "./plain-request.ts";

const keyForm = /^[\x20-\x7e]{1,255}$/;

export function readIdempotencyKey(headers: PlainHeaders): string | undefined {
  const key = headers.get("idempotency-key");
  if (key === null || keyForm.test(key)) return key ?? undefined;
  throw new Problem("invalid", "Idempotency-Key must be 1 to 255 printable ASCII characters");
}

interface Create {
  readonly ctx: Context<PortName>;
  readonly exchange: RequestScope;
  readonly body: unknown;
  readonly chosen: ChosenIds;
}

interface RepeatKeys {
  readonly key: string | undefined;
  readonly clientChoseId: boolean;
}

type Make = (resource: NewResource) => Promise<PlainResponse>;

/**
 * Answers a create. The first request of a key calls `make`. A repeat gets the stored answer with
 * `Idempotency-Replayed`, or without one calls `make` with the same ids, which creates the same record
 * (docs/apis/common.md#idempotency-key). For another body it throws an HttpError if the key was used, and `conflict`
 * if the client's id was.
 */
export async function answerCreate(
  create: Create,
  { key, clientChoseId }: RepeatKeys,
  make: Make,
): Promise<PlainResponse> {
  const makeById: Make = clientChoseId ? (resource) => answerById({ ...create, chosen: resource }, make) : make;
  if (key === undefined) return makeById({ ...create.chosen, isRepeat: false });
  const { method, path } = create.exchange;
  return answerAs({ method, path, key }, create, makeById, () => new HttpError("otherRequest"));
}

/** Treats the client's id as an Idempotency-Key of `PUT <path>/<id>`, so it never collides with a real key. */
async function answerById(create: Create, make: Make): Promise<PlainResponse> {
  const { id } = create.chosen;
  const { path, dialect } = create.exchange;
  return answerAs({ method: "PUT", path: `${path}/${id}`, key: id }, create, make, () => idTaken(dialect.noun, id));
}

export function idTaken(noun: string, id: string): Problem {
  return new Problem("conflict", `${noun.slice(0, 1).toUpperCase()}${noun.slice(1)} ${id} already exists`);
}

async function answerAs(
  scope: Pick<KeyedRequest, "method" | "path" | "key">,
  { ctx, exchange, body, chosen }: Create,
  make: Make,
  refusal: () => Error,
): Promise<PlainResponse> {
  const userCtx = withActor(ctx, exchange);
  const begun = await beginCreate(userCtx, { ...scope, body: comparable(body, chosen) }, chosen);
  if (begun.kind === "otherRequest") throw refusal();
  if (begun.kind === "replay") {
    const { status, text: body } = begun.reply;
    return { status, headers: { ...responseHeaders(exchange, "application/json"), ...replayed }, body };
  }
  const { create, isRepeat } = begun;
  const response = await make({ ...create.resource, isRepeat }).catch(async (error: unknown) => {
    await logIfLost(userCtx, keepFailure(userCtx, create, error));
    throw error;
  });
  const reply = { status: response.status, text: formatBody(response) };
  await logIfLost(userCtx, keepReply(userCtx, create, reply));
  return isRepeat ? { ...response, headers: { ...response.headers, ...replayed } } : response;
}

/**
 * Returns the body as text for comparison. The chosen id is written in its stored form, so a repeat may write it in
 * another case. A password is left out: the table has the hash of this text, and readers of the table could test guesses.
 */
function comparable(body: unknown, { id }: ChosenIds): string {
  return JSON.stringify(body, (name, value: unknown) => {
    if (name === "registry_auth") return undefined;
    return typeof value === "string" && value.toLowerCase() === id ? id : value;
  });
}

const replayed = { "Idempotency-Replayed": "true" };

/** Logs that the outcome of a create could not be stored. The record exists, and a repeat finds it by its id. */
async function logIfLost({ log }: Pick<Context, "log">, note: Promise<void>): Promise<void> {
  await note.catch((error: unknown) => log.warn("idempotency note lost", { error: String(error) }));
}

/** Returns the context with its user. Throws without one, because the key of a create is stored per user. */
function withActor(ctx: Context<PortName>, { actor, dialect }: RequestScope): UserContext<PortName> {
  if (!actor) throw new Error("A create needs a user");
  return { ...ctx, actor, dialect: dialect.name, noun: dialect.noun };
}
