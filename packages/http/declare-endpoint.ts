import type { RouteConfig } from "@hono/zod-openapi";
import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import type { Answer } from "./answers/answer.ts";
import type { IdForm } from "./answers/wire-id.ts";
import type { Dialect } from "./dialect.ts";
import type { AnyVerb, Endpoint, Method, Schema, VerbInput } from "./endpoint.ts";
import type { OtherWays, UsualNames } from "./request/unknown-fields.ts";
import { schemaMaker } from "./route.ts";
import type { Served } from "./runtime.ts";

interface CallOptions<
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

/** How long an endpoint may take (docs/apis/common.md#calls-that-wait). */
type Pace = keyof typeof seconds;

/** `waits` stays below the 30 s limit of an HTTP API, and `execs` above the highest EXEC_CAP_SECONDS. */
const seconds = { atOnce: 10, waits: 29, execs: 175 } as const;

/**
 * Returns the function that declares the endpoints of a dialect from their routes. With `misspelt` they refuse unknown
 * fields that resemble a known field or are a usual other word for it. All others are ignored.
 */
export function endpointsIn(dialect: Dialect, misspelt?: UsualNames) {
  const endpoint = <
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
      misspelt,
      method: route.method as Method,
      path: route.path,
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
  return { endpoint };
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
