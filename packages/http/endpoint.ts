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

/** A schema that depends on the deployment's settings. */
export type SchemaOfSettings<S extends Schema = Schema> = (settings: ServedSettings) => S;

/**
 * The description of one endpoint. `Needs` are the ports that it requires: those it uses, and the table, from which API
 * keys are read.
 */
export interface Endpoint<Needs extends PortName = PortName> {
  readonly kind: "endpoint";
  readonly dialect: Dialect;
  readonly method: Method;
  /** With parameters in braces: `/v1/jobs/{job_id}`. */
  readonly path: string;
  readonly summary: string;
  /** What openapi.json says of it. Undefined for a fixture of a test. */
  readonly route: RouteConfig | undefined;
  readonly uses: readonly Needs[];
  /** A public endpoint never looks at a key. */
  readonly public: boolean;
  /** Whether only operators may call it. Other users get the answer of an unknown path (docs/apis/common.md#keys). */
  readonly admin: boolean;
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly body: Schema | SchemaOfSettings | undefined;
  /** Its fields may come in the query, in a form or in JSON; the query goes first (docs/apis/onmemos.md#workspaces). */
  readonly form: boolean;
  /** Its key may stand in the query: it shares its address with a WebSocket (docs/apis/common.md#keys). */
  readonly keyInQuery: boolean;
  readonly reply: Schema;
  /** Names that it refuses, with what to use in their place. */
  readonly instead: OtherWays | undefined;
  /** Its answers have an ETag, which covers all fields but these. */
  readonly etag: readonly string[] | undefined;
  readonly status: number;
  /** It creates a record, or a request on one, whose id has this form, and takes an Idempotency-Key. */
  readonly creates: IdForm | undefined;
  /** Reads the id that a client chose from the body. Undefined where clients never choose one. */
  readonly chosenId: ((body: never) => string | undefined) | undefined;
  /** It may revoke API keys: this process forgets what it remembers of keys after each call. */
  readonly endsKeys: boolean;
  /** Whether it has a function URL, and so may take longer than 30 s (docs/architecture/edge.md#slow-calls). */
  readonly functionUrl: boolean;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: AnyVerb;
}

/** How an endpoint is called and served: all that its route does not say. */
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
  /** The default is the JSON schema of the route's first success. */
  readonly reply?: Reply;
  readonly instead?: OtherWays;
  /** Gives answers an ETag. Names the fields that change by themselves, which the tag leaves out. */
  readonly etag?: readonly string[];
  readonly public?: Public;
  readonly admin?: boolean;
  /** Its verb creates `resource`. A repeat asks for the same one (docs/apis/common.md#idempotency-key). */
  readonly creates?: Form;
  /**
   * The id that the client chose, if it did. The same id with the same body is answered with the same thing, with
   * another body with 409 (docs/apis/gpu-dev.md#submit-a-job).
   */
  readonly chosenId?: (body: Body) => string | undefined;
  readonly endsKeys?: boolean;
  /**
   * The default is `atOnce`. `waits`: the call watches its record for up to 25 s. `execs`: the call waits for a command
   * to end. It has a function URL, so its path has no other method.
   */
  readonly pace?: Pace;
  /** Replaces the time-out of its pace. */
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
  /** The status of a success; 200 unless given. */
  readonly status?: number;
}

/** How long an endpoint may take (docs/apis/common.md#calls-that-wait). */
export type Pace = keyof typeof seconds;

/** `waits` stays below the 30 s at which an HTTP API ends a call; `execs` is above the highest EXEC_CAP_SECONDS. */
const seconds = { atOnce: 10, waits: 29, execs: 175 } as const;

export interface VerbInput<Ctx, Params, Query, Body, Resource> extends RequestFacts {
  readonly ctx: Ctx;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The ids of what a create makes. */
  readonly resource: Resource;
}

/** A verb as `buildApp` calls it: with what the endpoint's own schemas made of the request. */
export type AnyVerb = (
  input: VerbInput<Served<Context<PortName>>, unknown, unknown, unknown, NewResource | undefined>,
) => Promise<unknown>;

/** The four ways to declare an endpoint of a dialect: `gpuDev.post(path, options, verb)`. */
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

/** Declares the endpoint of a route: `gpuDev.endpoint(route, options, verb)`. */
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
    if (!reply) throw new Error(`${route.method} ${route.path} has no reply in JSON and names no other one`);
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

/** The output of the schema of a route's path or query. */
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

/** Returns the lowest status of a route's answers: the keys of an object that are numbers come in their order. */
function successStatus({ responses }: RouteConfig): number {
  return Number(Object.keys(responses)[0]);
}

/** Returns the part of an endpoint that its options say. */
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

/** Adds the table, from which API keys are read. The cast repeats what `NeedsOf` computes. */
function portsNeeded<Uses extends PortName, Public extends boolean>(
  uses: readonly Uses[],
  isPublic: boolean,
): readonly NeedsOf<Uses, Public>[] {
  const needed = isPublic ? uses : [...new Set<PortName>([...uses, "table"])];
  return needed as readonly NeedsOf<Uses, Public>[];
}

/** Sound because `buildApp` gives a verb what the schemas and `uses` next to it produced, and nothing else. */
function withoutTypes(verb: (input: never) => Promise<unknown>): AnyVerb {
  return verb as AnyVerb;
}

/** The schema of a request's body under these settings. */
export function bodySchema(endpoint: Pick<Endpoint, "body">, settings: ServedSettings): Schema | undefined {
  return typeof endpoint.body === "function" ? endpoint.body(settings) : endpoint.body;
}
