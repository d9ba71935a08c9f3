import type * as z from "zod";
import type { Context, PortName, Settings, UserContext } from "#core/context.ts";
import type { Answer } from "./answer.ts";
import type { Dialect } from "./dialect.ts";
import type { Deployment } from "./runtime.ts";

export type Method = "get" | "post" | "put" | "delete";

export type Schema = z.ZodType;

/** A schema whose bounds a deployment sets. */
export type SchemaOfSettings<S extends Schema = Schema> = (settings: Settings) => S;

/** One endpoint as data. `Needs` are the ports it cannot do without: those it uses, and the table its key is read from. */
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
  readonly params: Schema | undefined;
  readonly query: Schema | undefined;
  readonly body: Schema | SchemaOfSettings | undefined;
  readonly reply: Schema;
  readonly status: number;
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
> {
  readonly summary: string;
  readonly uses: readonly Uses[];
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body | SchemaOfSettings<Body>;
  readonly reply: Reply;
  readonly public?: Public;
  /** Of success; 200 unless said. */
  readonly status?: number;
  readonly timeoutSeconds?: number;
  readonly memoryMb?: number;
}

export interface VerbInput<Ctx, Params, Query, Body> {
  readonly ctx: Ctx;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  readonly deployment: Deployment;
}

/** A verb as `compose` calls it: with what the endpoint's own schemas made of the request. */
export type AnyVerb = (input: VerbInput<Context<PortName>, unknown, unknown, unknown>) => Promise<unknown>;

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
    >(
      path: string,
      options: EndpointOptions<Uses, Params, Query, Body, Reply, Public>,
      verb: (
        input: VerbInput<ContextFor<Uses, Public>, z.output<Params>, z.output<Query>, z.output<Body>>,
      ) => Promise<z.input<Reply> | Answer<z.input<Reply>>>,
    ): Endpoint<NeedsOf<Uses, Public>> => ({
      kind: "endpoint",
      dialect,
      method,
      path,
      summary: options.summary,
      uses: portsNeeded(options.uses, options.public ?? false),
      public: options.public ?? false,
      params: options.params,
      query: options.query,
      body: options.body,
      reply: options.reply,
      status: options.status ?? 200,
      timeoutSeconds: options.timeoutSeconds ?? 10,
      memoryMb: options.memoryMb ?? 512,
      verb: withoutTypes(verb),
    });
  return { get: declaring("get"), post: declaring("post"), put: declaring("put"), delete: declaring("delete") };
}

type ContextFor<Uses extends PortName, Public extends boolean> = Public extends true
  ? Context<Uses>
  : UserContext<Uses>;

type NeedsOf<Uses extends PortName, Public extends boolean> = Public extends true ? Uses : Uses | "table";

/** The key of a request is read from the table. The cast only says what `NeedsOf` says. */
function portsNeeded<Uses extends PortName, Public extends boolean>(
  uses: readonly Uses[],
  isPublic: boolean,
): readonly NeedsOf<Uses, Public>[] {
  const needed = isPublic ? uses : [...new Set<PortName>([...uses, "table"])];
  return needed as readonly NeedsOf<Uses, Public>[];
}

/** Sound because `compose` gives a verb what the schemas and `uses` next to it produced, and nothing else. */
function withoutTypes(verb: (input: never) => Promise<unknown>): AnyVerb {
  return verb as AnyVerb;
}

/** The schema of a request's body under these settings. */
export function bodySchema(endpoint: Pick<Endpoint, "body">, settings: Settings): Schema | undefined {
  return typeof endpoint.body === "function" ? endpoint.body(settings) : endpoint.body;
}
