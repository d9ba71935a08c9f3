import type { Ids } from "#core/ports/ids.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { type AnswerOptions, isAnswer } from "../answers/answer.ts";
import { HttpError } from "../answers/http-error.ts";
import { namingIgnored } from "../answers/ignored.ts";
import { problemResponse } from "../answers/problem-response.ts";
import { newWireId } from "../answers/wire-id.ts";
import { bodySchema, type Endpoint, type RequestFacts } from "../endpoint.ts";
import { logExchange, openExchange, type RequestScope, responseHeaders } from "../exchange.ts";
import { allowKeyless, type KeyCheck } from "../keys/key-check.ts";
import { findSessionKey, isFromConsole } from "../keys/session-cookie.ts";
import { boundLog } from "../log.ts";
import { createContext, type Runtime } from "../runtime.ts";
import { answerCreate, readIdempotencyKey } from "./idempotency.ts";
import type { PlainRequest, PlainResponse } from "./plain-request.ts";
import { readQuery } from "./query.ts";
import { readInput } from "./read-input.ts";
import { countRequest } from "./request-tally.ts";

export interface Routed {
  readonly request: PlainRequest;
  readonly path: string;
  readonly params: Readonly<Record<string, string>>;
  readonly keyInPath?: string | undefined;
  readonly viewer?: string | undefined;
}

/**
 * Answers the requests of one endpoint in the order of docs/apis/common.md#order-of-checks-and-errors: key, size,
 * JSON, fields, verb. Never throws.
 */
export function requestHandler(
  runtime: Runtime,
  endpoint: Endpoint,
  check: KeyCheck,
): (routed: Routed) => Promise<PlainResponse> {
  const { dialect, path: route } = endpoint;
  const base = createContext(runtime);
  const schema = bodySchema(endpoint, runtime.settings);
  const admit = dialect.keylessLocally ? allowKeyless(runtime.localUser, check) : check;
  const { deployment } = runtime;

  return async ({ request, path, params, keyInPath, viewer }) => {
    const exchange = openExchange(runtime, request, { path, route, dialect, viewer });
    const response = await respond().catch((error: unknown) => problemResponse(runtime, exchange, error));
    logExchange(runtime, exchange, response.status);
    if (exchange.actor) countRequest(runtime, exchange.actor.uid, response.status);
    return response;

    async function respond(): Promise<PlainResponse> {
      const keyInQuery = endpoint.keyInQuery ? readQuery(request.url).api_key : undefined;
      const sessionKey = findSessionKey({ request, dialect, deployment, keyInPath });
      const checkedKey = () => admit(request.headers, [keyInPath, keyInQuery], sessionKey);
      if (!endpoint.public) exchange.actor = await checkedKey();
      if (endpoint.admin && !exchange.actor?.isAdmin) throw new HttpError("unknownPath");
      const { rawBody, ignored, ...input } = await readInput(endpoint, schema, request, params);
      const log = boundLog(runtime.log, { requestId: exchange.requestId });
      const ctx = { ...base, log, actor: exchange.actor, dialect: dialect.name, noun: dialect.noun };
      const facts: RequestFacts = {
        deployment,
        ignored,
        viewer,
        requestId: exchange.requestId,
        accept: request.headers.get("accept") ?? "",
        host: request.headers.get("host") ?? "",
        origin: request.headers.get("origin"),
        isFromConsole: isFromConsole(request, deployment),
        lastEventId: request.headers.get("last-event-id"),
        checkKey: async () => void (await checkedKey()),
      };
      const make = async (resource: NewResource | undefined) => {
        try {
          const result = await endpoint.verb({ ctx, ...input, resource, ...facts });
          const response = replyResponse(endpoint, exchange, result);
          return endpoint.etag ? tagged(runtime, endpoint.etag, request, response) : response;
        } finally {
          if (endpoint.endsKeys) runtime.keys?.forget();
        }
      };
      if (!endpoint.creates) return namingIgnored(await make(undefined), ignored);
      const clientId = endpoint.chosenId?.(input.body as never);
      const id = clientId ?? newWireId(endpoint.creates, ctx);
      const create = { ctx, exchange, body: rawBody, chosen: { id, uid: ctx.ids.uid() } };
      const key = readIdempotencyKey(request.headers);
      const created = await answerCreate(create, { key, clientChoseId: clientId !== undefined }, make);
      return namingIgnored(created, ignored);
    }
  };
}

function replyResponse({ reply, status }: Endpoint, exchange: RequestScope, result: unknown): PlainResponse {
  const options: AnswerOptions = isAnswer(result) ? result : {};
  const body = reply.parse(isAnswer(result) ? result.body : result);
  const headers = { ...responseHeaders(exchange, options.contentType ?? "application/json"), ...options.headers };
  const content = options.contentType === undefined ? JSON.stringify(body) : rawContent(body);
  return { status: options.status ?? status, headers, body: content, stream: options.stream };
}

/** Adds an entity tag unless the verb set one. Answers 304 if the client has this version. */
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
  throw new Error("A reply with its own content type must be text or bytes");
}

/**
 * Returns a weak entity tag (RFC 9110 section 8.8.1), because answers that differ only in the `leftOut` fields share
 * it.
 */
function entityTag({ hash }: Pick<Ids, "hash">, body: unknown, leftOut: readonly string[]): string {
  const text = JSON.stringify(body, (name, value: unknown) => (leftOut.includes(name) ? undefined : value));
  return `W/"${hash(text).slice(0, 32)}"`;
}

/** Reports whether an If-None-Match names this tag (RFC 9110 section 13.1.2, weak comparison). */
function namesTag(ifNoneMatch: string | null, tag: string): boolean {
  if (ifNoneMatch === null) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const opaque = tag.slice(tag.indexOf('"'));
  return ifNoneMatch.split(",").some((part) => part.trim().replace(/^W\//, "") === opaque);
}
