import type { NewResource } from "#core/idempotency.ts";
import { type AnswerOptions, isAnswer } from "./answer.ts";
import { readObject, requireSmallBody } from "./body.ts";
import { bodySchema, type Endpoint, type Schema } from "./endpoint.ts";
import { entityTag, namesTag } from "./entity-tag.ts";
import { type Exchange, headersOf, logExchange, openExchange } from "./exchange.ts";
import { fieldProblems, ownMessagesOnly, type Place } from "./field-problems.ts";
import { heldRequests } from "./held-requests.ts";
import type { KeyCheck } from "./key-check.ts";
import { answerCreate, readIdempotencyKey } from "./keyed-create.ts";
import { allowKeyless } from "./keyless.ts";
import { knownPart } from "./known-part.ts";
import { boundLog } from "./log.ts";
import { misspeltFields } from "./misspelt.ts";
import { withoutNulls } from "./nulls.ts";
import type { PlainRequest, PlainResponse } from "./plain.ts";
import { problemResponse } from "./problem-response.ts";
import { readQuery } from "./query.ts";
import { Refusal } from "./refusal.ts";
import { countRequest } from "./request-tally.ts";
import { contextOf, type Runtime } from "./runtime.ts";
import { fieldNames, schemaAt } from "./schema.ts";
import { brokenTextIn } from "./well-formed.ts";
import { newWireId } from "./wire-id.ts";

/** A request that found its route: its path parameters are decoded. */
export interface Routed {
  readonly request: PlainRequest;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  /** The key between `/k/` and the path. */
  readonly keyInPath?: string | undefined;
  /** The client's address, where the edge says it. */
  readonly viewer?: string | undefined;
}

/**
 * Answers the requests of one endpoint in the order of docs/apis/common.md#order-of-checks-and-errors: key, size, JSON,
 * fields, verb. Never throws.
 */
export function requestHandler(
  runtime: Runtime,
  endpoint: Endpoint,
  check: KeyCheck,
): (routed: Routed) => Promise<PlainResponse> {
  const { dialect, path: route } = endpoint;
  const base = contextOf(runtime);
  const schema = bodySchema(endpoint, runtime.settings);
  const admit = dialect.keylessLocally ? allowKeyless(runtime.localUser, check) : check;
  const { deployment, held = heldRequests() } = runtime;

  return async ({ request, path, params, keyInPath, viewer }) => {
    const exchange = openExchange(runtime, request, { path, route, dialect, viewer });
    const response = await respond().catch((error: unknown) => problemResponse(runtime, exchange, error));
    logExchange(runtime, exchange, response.status);
    if (exchange.actor) countRequest(runtime, exchange.actor.uid, response.status);
    return response;

    async function respond(): Promise<PlainResponse> {
      const keyInQuery = endpoint.keyInQuery ? readQuery(request.url).api_key : undefined;
      const checkedKey = () => admit(request.headers, [keyInPath, keyInQuery]);
      if (!endpoint.public) exchange.actor = await checkedKey();
      if (endpoint.admin && !exchange.actor?.isAdmin) throw new Refusal("unknownPath");
      const { rawBody, ...input } = await readInput(endpoint, schema, request, params);
      const log = boundLog(runtime.log, { requestId: exchange.requestId });
      const ctx = { ...base, log, actor: exchange.actor, dialect: dialect.name, noun: dialect.noun };
      const about = {
        deployment,
        held,
        viewer,
        requestId: exchange.requestId,
        accept: request.headers.get("accept") ?? "",
        lastEventId: request.headers.get("last-event-id"),
        checkKey: async () => void (await checkedKey()),
      };
      const make = async (resource: NewResource | undefined) => {
        try {
          const result = await endpoint.verb({ ctx, ...input, resource, ...about });
          const response = replyResponse(endpoint, exchange, result);
          return endpoint.etag ? tagged(runtime, endpoint.etag, request, response) : response;
        } finally {
          if (endpoint.endsKeys) runtime.keys?.forget();
        }
      };
      if (!endpoint.creates) return make(undefined);
      const clientId = endpoint.chosenId?.(input.body as never);
      const id = clientId ?? newWireId(endpoint.creates, ctx);
      const create = { ctx, exchange, body: rawBody, chosen: { id, uid: ctx.ids.uid() } };
      const key = readIdempotencyKey(request.headers);
      return answerCreate(create, { key, clientChoseId: clientId !== undefined }, make);
    }
  };
}

interface Input {
  readonly query: unknown;
  readonly body: unknown;
  readonly params: unknown;
  /** The body as it was sent, before its schema: a repeated create is known by it. */
  readonly rawBody: unknown;
}

/** Parses the path last: bad fields are reported before an id that names nothing. */
async function readInput(
  endpoint: Endpoint,
  schema: Schema | undefined,
  request: PlainRequest,
  params: Routed["params"],
): Promise<Input> {
  requireSmallBody(request.headers);
  const query = readQuery(request.url);
  const body = await readBody(endpoint, request, query);
  return {
    query: endpoint.query && parseFields(endpoint, endpoint.query, query, "query"),
    rawBody: body,
    body: schema && requireStorableText(endpoint, schema, body, parseFields(endpoint, schema, body, "body")),
    params: endpoint.params && parseParams(endpoint.params, params),
  };
}

async function readBody(
  endpoint: Endpoint,
  request: PlainRequest,
  query: Record<string, string>,
): Promise<Record<string, unknown>> {
  if (!readsBody(endpoint)) return {};
  const { form, dialect } = endpoint;
  const body = await readObject(request, { comments: dialect.commentsInJson, form });
  return form ? { ...body, ...query } : body;
}

/** POST and PUT refuse a body that is not JSON even where they declare none; GET and DELETE then ignore it. */
function readsBody({ method, body }: Endpoint): boolean {
  return body !== undefined || method === "post" || method === "put";
}

/** A malformed id is answered 404, as an unknown one is. One with a NUL names nothing, and is not stored by an audit. */
function parseParams(schema: Schema, params: Routed["params"]): unknown {
  const parsed = schema.safeParse(params);
  if (!parsed.success || brokenTextIn(parsed.data)) throw new Refusal("unknownPath");
  return parsed.data;
}

/**
 * Refuses NUL and unpaired surrogates, which the table cannot store. Only endpoints that run a command take forms: their
 * input is passed on unchanged.
 */
function requireStorableText(
  { form }: Endpoint,
  schema: Schema,
  input: Record<string, unknown>,
  body: unknown,
): unknown {
  const broken = form ? undefined : brokenTextIn(body);
  if (!broken) return body;
  const message = `${broken.join(".") || "The body"} must not hold NUL characters or halves of characters`;
  const field = {
    type: "value_error",
    path: ["body", ...broken],
    message,
    input: knownPart(input[String(broken[0])], schemaAt(schema, broken.slice(0, 1))),
    isOwn: true,
  };
  throw new Refusal("badFields", { fields: [field] });
}

function parseFields({ dialect }: Endpoint, schema: Schema, input: Record<string, unknown>, place: Place): unknown {
  const parsed = schema.safeParse(withoutNulls(schema, input), ownMessagesOnly);
  // Left alone, it would be as if the client had not said it: a job with `gpus` for `gpu_count` took the whole machine.
  const misspelt = dialect.misspelt ? misspeltFields(fieldNames(schema), input, dialect.misspelt, place) : [];
  if (parsed.success && misspelt.length === 0) return parsed.data;
  const own = parsed.success ? [] : fieldProblems(parsed.error.issues, place, schema, input);
  throw new Refusal("badFields", { fields: [...own, ...misspelt] });
}

function replyResponse({ reply, status }: Endpoint, exchange: Exchange, result: unknown): PlainResponse {
  const options: AnswerOptions = isAnswer(result) ? result : {};
  const body = reply.parse(isAnswer(result) ? result.body : result);
  const headers = { ...headersOf(exchange, options.contentType ?? "application/json"), ...options.headers };
  const content = options.contentType === undefined ? JSON.stringify(body) : rawContent(body);
  return { status: options.status ?? status, headers, body: content, stream: options.stream };
}

/** Adds the entity tag of an answer unless its verb set one, or says that the client has it already. */
function tagged(
  { ids }: Pick<Runtime, "ids">,
  leftOut: readonly string[],
  request: PlainRequest,
  { status, headers, body }: PlainResponse,
): PlainResponse {
  const tag = headers.ETag ?? entityTag(ids, JSON.parse(String(body)), leftOut);
  if (!namesTag(request.headers.get("if-none-match"), tag)) return { status, headers: { ...headers, ETag: tag }, body };
  const { "Content-Type": _, ...others } = headers;
  return { status: 304, headers: { ...others, ETag: tag }, body: "" };
}

function rawContent(body: unknown): string | Uint8Array<ArrayBuffer> {
  if (typeof body === "string") return body;
  if (body instanceof Uint8Array) return new Uint8Array(body);
  throw new Error("A reply with a content type of its own must be text or bytes");
}
