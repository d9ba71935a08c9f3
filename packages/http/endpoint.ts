import type { RouteConfig } from "@hono/zod-openapi";
import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import type { Answer } from "./answers/answer.ts";
import type { IdForm } from "./answers/wire-id.ts";
import type { Dialect } from "./dialect.ts";
import type { ServedSettings } from "./dialects/settings.ts";
import type { RequestFacts } from "./request/request-facts.ts";
import type { OtherWays } from "./request/unknown-fields.ts";
import { schemaMaker } from "./route.ts";
import type { Served } from "./runtime.ts";

export type Method = "get" | "post" | "put" | "delete";

export type Schema = z.ZodType;

export type SchemaOfSettings<S extends Schema = Schema> = (settings: ServedSettings) => S;

/** The description of one endpoint. `Needs` are its ports and the table, which holds API keys. */
export interface Endpoint<Needs extends PortName = PortName> {
  readonly kind: "endpoint";
  readonly dialect: Dialect;
  readonly method: Method;
  readonly path: string;
  readonly summary: string;
  /** The route in openapi.json. Undefined for test fixtures. */
  readonly route: RouteConfig | undefined;
  readonly uses: readonly Needs[];
  readonly public: boolean;
  readonly admin: boolean;
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly body: Schema | SchemaOfSettings | undefined;
  readonly form: boolean;
  /** Accepts the key in the query, because it shares its address with a WebSocket (docs/apis/common.md#keys). */
  readonly keyInQuery: boolean;
  readonly reply: Schema;
  readonly instead: OtherWays | undefined;
  /** Adds an ETag to answers, which covers all fields except these. */
  readonly etag: readonly string[] | undefined;
  readonly status: number;
  /** Set for a create: the form of the new id. Such a call takes an Idempotency-Key. */
  readonly creates: IdForm | undefined;
  readonly chosenId: ((body: never) => string | undefined) | undefined;
  /** Whether it may revoke API keys: this process drops its cached keys after each call. */
  readonly endsKeys: boolean;
  /** Whether it has a function URL, and so may take longer than 30 s (docs/architecture/edge.md#slow-calls). */
  readonly functionUrl: boolean;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: AnyVerb;
}

export interface CallOptions<
  Uses extends PortName,
  Body,
  Reply extends Schema,
  Public extends boolean,
  Form extends IdForm | undefined,
> {
  readonly uses: readonly Uses[];
  readonly form?: boolean;
  readonly keyInQuery?: boolean;
  readonly reply?: Reply;
  readonly instead?: OtherWays;
  /** Adds an ETag to answers. Names volatile fields, which the tag leaves out. */
  readonly etag?: readonly string[];
  readonly public?: Public;
  readonly admin?: boolean;
  /** Set if the verb creates `resource`. A repeat uses the same one (docs/apis/common.md#idempotency-key). */
  readonly creates?: Form;
  /**
   * Returns the client-chosen id, if any. A repeat with the same body gets the same answer, and one with another body
   * 409 (docs/apis/gpu-dev.md#submit-a-job).
   */
  readonly chosenId?: (body: Body) => string | undefined;
  readonly endsKeys?: boolean;
  /**
   * Default: `atOnce`. `waits`: the call watches its record for up to 25 s. `execs`: the call waits for a command to
   * end. It has a function URL, so its path has no other method.
   */
  readonly pace?: Pace;
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

export interface EndpointOptions<
  Uses extends PortName,
  Params extends Schema,
  Query extends Schema,
  Body extends Schema,
  Reply extends Schema,
  Public extends boolean,
  Form extends IdForm | undefined,
> extends CallOptions<Uses, z.output<Body>, Reply, Public, Form> {
  readonly summary: string;
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body | SchemaOfSettings<Body>;
  readonly reply: Reply;
  readonly status?: number;
}

/** How long an endpoint may take (docs/apis/common.md#calls-that-wait). */
export type Pace = keyof typeof seconds;

/** `waits` stays below the 30 s limit of an HTTP API, and `execs` above the highest EXEC_CAP_SECONDS. */
const seconds = { atOnce: 10, waits: 29, execs: 175 } as const;

export interface VerbInput<Ctx, Params, Query, Body, Resource> extends RequestFacts {
  readonly ctx: Ctx;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly resource: Resource;
}

export type AnyVerb = (
  input: VerbInput<Served<Context<PortName>>, unknown, unknown, unknown, NewResource | undefined>,
) => Promise<unknown>;

export function endpointsIn(dialect: Dialect) {
  const declaring =
    (method: Method) =>
    <
      Uses extends PortName = never,
      Params extends Schema = z.ZodUndefined,
      Query extends Schema = z.ZodUndefined,
      Body extends Schema = z.ZodUndefined,
      Reply extends Schema = Schema,
      Public extends boolean = false,
      Form extends IdForm | undefined = undefined,
    >(
      path: string,
      options: EndpointOptions<Uses, Params, Query, Body, Reply, Public, Form>,
      verb: (
        input: VerbInput<
          ContextFor<Uses, Public>,
          z.output<Params>,
          z.output<Query>,
          z.output<Body>,
          Form extends IdForm ? NewResource : undefined
        >,
      ) => Promise<z.input<Reply> | Answer<z.input<Reply>>>,
    ): Endpoint<NeedsOf<Uses, Public>> => ({
      kind: "endpoint",
      dialect,
      method,
      path,
      summary: options.summary,
      route: undefined,
      ...getCall(options),
      params: options.params,
      query: options.query,
      body: options.body,
      reply: options.reply,
      status: options.status ?? 200,
      verb: withoutTypes(verb),
    });
  return {
    get: declaring("get"),
    post: declaring("post"),
    put: declaring("put"),
    delete: declaring("delete"),
    endpoint: getEndpoint(dialect),
  };
}

function getEndpoint(dialect: Dialect) {
  return <
    R extends RouteConfig,
    Uses extends PortName = never,
    Reply extends Schema = ReplyOf<R>,
    Public extends boolean = false,
    Form extends IdForm | undefined = undefined,
  >(
    route: R,
    options: CallOptions<Uses, BodyOf<R>, Reply, Public, Form>,
    verb: (
      input: VerbInput<
        ContextFor<Uses, Public>,
        RequestPart<R, "params">,
        RequestPart<R, "query">,
        BodyOf<R>,
        Form extends IdForm ? NewResource : undefined
      >,
    ) => Promise<z.input<Reply> | Answer<z.input<Reply>>>,
  ): Endpoint<NeedsOf<Uses, Public>> => {
    const { params, query, body } = (route.request ?? {}) as RequestSchemas;
    const schema = body?.content[JSON_TYPE]?.schema;
    const status = successStatus(route);
    const reply = options.reply ?? (route.responses[status] as JsonContent | undefined)?.content[JSON_TYPE]?.schema;
    if (!reply) throw new Error(`${route.method} ${route.path} has neither a JSON reply nor another content type`);
    return {
      kind: "endpoint",
      dialect,
      method: route.method as Method,
      path: route.path,
      summary: route.summary ?? "",
      route,
      ...getCall(options),
      params,
      query,
      body: schema && (schemaMaker(schema) ?? schema),
      reply,
      status,
      verb: withoutTypes(verb),
    };
  };
}

const JSON_TYPE = "application/json";

interface JsonContent<S extends Schema = Schema> {
  readonly content: { readonly [JSON_TYPE]: { readonly schema: S } };
}

interface RequestSchemas {
  readonly params?: Schema;
  readonly query?: Schema;
  readonly body?: JsonContent;
}

type RequestPart<R extends RouteConfig, Name extends "params" | "query"> = R extends {
  request: { [name in Name]: infer S extends Schema };
}
  ? z.output<S>
  : undefined;

type BodyOf<R extends RouteConfig> = R extends { request: { body: JsonContent<infer S> } } ? z.output<S> : undefined;

/** The schema of a route's first success. The web shell's address has none, and answers 426. */
type ReplyOf<R extends RouteConfig> = R["responses"] extends { [status in 200]: JsonContent<infer S> }
  ? S
  : R["responses"] extends { [status in 201]: JsonContent<infer S> }
    ? S
    : R["responses"] extends { [status in 202]: JsonContent<infer S> }
      ? S
      : R["responses"] extends { [status in 426]: JsonContent<infer S> }
        ? S
        : never;

/** Returns the lowest status: numeric keys of an object are iterated in ascending order. */
function successStatus({ responses }: RouteConfig): number {
  return Number(Object.keys(responses)[0]);
}

function getCall<
  Uses extends PortName,
  Body,
  Reply extends Schema,
  Public extends boolean,
  Form extends IdForm | undefined,
>(options: CallOptions<Uses, Body, Reply, Public, Form>) {
  return {
    uses: portsNeeded<Uses, Public>(options.uses, options.public ?? false),
    public: options.public ?? false,
    admin: options.admin ?? false,
    form: options.form ?? false,
    keyInQuery: options.keyInQuery ?? false,
    instead: options.instead,
    etag: options.etag,
    creates: options.creates,
    chosenId: options.chosenId,
    endsKeys: options.endsKeys ?? false,
    functionUrl: options.pace === "execs",
    timeoutSeconds: options.timeoutSeconds ?? seconds[options.pace ?? "atOnce"],
    memoryMb: options.memoryMb ?? 512,
  };
}

type ContextFor<Uses extends PortName, Public extends boolean> = Served<
  Public extends true ? Context<Uses> : UserContext<Uses>
>;

type NeedsOf<Uses extends PortName, Public extends boolean> = Public extends true ? Uses : Uses | "table";

/** Adds the table, which holds API keys. The cast repeats what `NeedsOf` computes. */
function portsNeeded<Uses extends PortName, Public extends boolean>(
  uses: readonly Uses[],
  isPublic: boolean,
): readonly NeedsOf<Uses, Public>[] {
  const needed = isPublic ? uses : [...new Set<PortName>([...uses, "table"])];
  return needed as readonly NeedsOf<Uses, Public>[];
}

/** Sound because `buildApp` calls a verb only with results of the schemas and `uses` next to it. */
function withoutTypes(verb: (input: never) => Promise<unknown>): AnyVerb {
  return verb as AnyVerb;
}

export function bodySchema(endpoint: Pick<Endpoint, "body">, settings: ServedSettings): Schema | undefined {
  return typeof endpoint.body === "function" ? endpoint.body(settings) : endpoint.body;
}
