import type * as z from "zod";
import type { Context, PortName, UserContext } from "#core/context.ts";
import type { NewThing } from "#core/idempotency.ts";
import type { Answer } from "./answer.ts";
import type { Dialect } from "./dialect.ts";
import type { ServedSettings } from "./dialects/settings.ts";
import type { Deployment, Served } from "./runtime.ts";
import type { IdForm } from "./wire-id.ts";

export type Method = "get" | "post" | "put" | "delete";

export type Schema = z.ZodType;

/** A schema whose bounds a deployment sets. */
export type SchemaOfSettings<S extends Schema = Schema> = (settings: ServedSettings) => S;

/**
 * One endpoint as data. `Needs` are the ports it cannot do without: those it uses, and the table its key is read from.
 */
export interface Endpoint<Needs extends PortName = PortName> {
  readonly kind: "endpoint";
  readonly dialect: Dialect;
  readonly method: Method;
  /** With parameters in braces: `/v1/jobs/{job_id}`. */
  readonly path: string;
  readonly summary: string;
  readonly uses: readonly Needs[];
  /** A public endpoint never looks at a key. */
  readonly public: boolean;
  /**
   * For operators alone. Everybody else is answered as on an unknown path: 403 is kept for logins and disabled users
   * (docs/apis/common.md#keys), and to a user what only operators may use is as if it were not there.
   */
  readonly admin: boolean;
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly body: Schema | SchemaOfSettings | undefined;
  /** Its fields may come in the query, in a form or in JSON; the query goes first (docs/apis/onmemos.md#workspaces). */
  readonly form: boolean;
  /** Its key may stand in the query: it shares its address with a WebSocket (docs/apis/common.md#keys). */
  readonly keyInQuery: boolean;
  readonly reply: Schema;
  readonly status: number;
  /** It makes a thing whose id has this form, or a request that is one, and takes an Idempotency-Key. */
  readonly creates: IdForm | undefined;
  /** The id that the client chose for what it makes, if it did; undefined where none ever does. */
  readonly chosenId: ((body: never) => string | undefined) | undefined;
  /** It may end keys: whatever this process remembers of keys is forgotten after it. */
  readonly endsKeys: boolean;
  /** It has an address of its own, which lets it take longer than 30 s (docs/architecture.md#slow-calls). */
  readonly functionUrl: boolean;
  readonly timeoutSeconds: number;
  readonly memoryMb: number;
  readonly verb: AnyVerb;
}

export interface EndpointOptions<
  Uses extends PortName,
  Params extends Schema,
  Query extends Schema,
  Body extends Schema,
  Reply extends Schema,
  Public extends boolean,
  Form extends IdForm | undefined,
> {
  readonly summary: string;
  readonly uses: readonly Uses[];
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body | SchemaOfSettings<Body>;
  readonly form?: boolean;
  readonly keyInQuery?: boolean;
  readonly reply: Reply;
  readonly public?: Public;
  readonly admin?: boolean;
  /** Its verb makes `thing`, and may be asked to make the same one again (docs/apis/common.md#idempotency-key). */
  readonly creates?: Form;
  /**
   * The id that the client chose, if it did: asked again with the same body it is the same thing, with another one 409
   * (docs/apis/gpu-dev.md#submit-a-job).
   */
  readonly chosenId?: (body: z.output<Body>) => string | undefined;
  readonly endsKeys?: boolean;
  /** Of success; 200 unless said. */
  readonly status?: number;
  /**
   * `atOnce` unless said. `waits`: it watches its own record for up to 25 s. `execs`: it stays for a command, on a path
   * that no other method has.
   */
  readonly pace?: Pace;
  /** In place of what its pace gives it. */
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

/** How long an endpoint may take (docs/apis/common.md#calls-that-wait). */
export type Pace = keyof typeof secondsOf;

/** Of `waits`, below the 30 s at which an HTTP API ends; of `execs`, above the highest EXEC_CAP_SECONDS. */
const secondsOf = { atOnce: 10, waits: 29, execs: 175 } as const;

export interface VerbInput<Ctx, Params, Query, Body, Thing> {
  readonly ctx: Ctx;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** What a create is to make. */
  readonly thing: Thing;
  /** The Accept header; "" when there is none. */
  readonly accept: string;
  readonly deployment: Deployment;
  /** Of the answer's X-Request-ID. */
  readonly requestId: string;
  /** The client's address, as the edge says it. Undefined where there is no edge, as on a laptop. */
  readonly viewer: string | undefined;
}

/** A verb as `buildApp` calls it: with what the endpoint's own schemas made of the request. */
export type AnyVerb = (
  input: VerbInput<Served<Context<PortName>>, unknown, unknown, unknown, NewThing | undefined>,
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
          Form extends IdForm ? NewThing : undefined
        >,
      ) => Promise<z.input<Reply> | Answer<z.input<Reply>>>,
    ): Endpoint<NeedsOf<Uses, Public>> => ({
      kind: "endpoint",
      dialect,
      method,
      path,
      summary: options.summary,
      uses: portsNeeded(options.uses, options.public ?? false),
      public: options.public ?? false,
      admin: options.admin ?? false,
      params: options.params,
      query: options.query,
      body: options.body,
      form: options.form ?? false,
      keyInQuery: options.keyInQuery ?? false,
      reply: options.reply,
      status: options.status ?? 200,
      creates: options.creates,
      chosenId: options.chosenId,
      endsKeys: options.endsKeys ?? false,
      functionUrl: options.pace === "execs",
      timeoutSeconds: options.timeoutSeconds ?? secondsOf[options.pace ?? "atOnce"],
      memoryMb: options.memoryMb ?? 512,
      verb: withoutTypes(verb),
    });
  return { get: declaring("get"), post: declaring("post"), put: declaring("put"), delete: declaring("delete") };
}

type ContextFor<Uses extends PortName, Public extends boolean> = Served<
  Public extends true ? Context<Uses> : UserContext<Uses>
>;

type NeedsOf<Uses extends PortName, Public extends boolean> = Public extends true ? Uses : Uses | "table";

/** The key of a request is read from the table. The cast only says what `NeedsOf` says. */
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
