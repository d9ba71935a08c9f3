import type { RouteConfig } from "@hono/zod-openapi";
import type * as z from "zod";
import type { Context, PortName } from "#core/context.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import type { IdForm } from "./answers/wire-id.ts";
import type { Dialect } from "./dialect.ts";
import type { ServedSettings } from "./dialects/settings.ts";
import type { OtherWays, UsualNames } from "./request/unknown-fields.ts";
import type { Deployment, Served } from "./runtime.ts";

export type Method = "get" | "post" | "put" | "delete";

export type Schema = z.ZodType;

export type SchemaOfSettings<S extends Schema = Schema> = (settings: ServedSettings) => S;

/** The description of one endpoint. `Needs` are its ports and the table, which holds API keys. */
export interface Endpoint<Needs extends PortName = PortName> {
  readonly kind: "endpoint";
  readonly dialect: Dialect;
  readonly method: Method;
  readonly path: string;
  readonly route: RouteConfig;
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
  readonly misspelt: UsualNames | undefined;
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

/** Facts about the request that a verb may need, besides the schemas' results. */
export interface RequestFacts {
  readonly host: string;
  readonly accept: string;
  /** The `Origin` header, or null if the request has none. */
  readonly origin: string | null;
  /** Whether a page of this deployment itself sent the request. */
  readonly isFromConsole: boolean;
  readonly deployment: Deployment;
  readonly requestId: string;
  readonly viewer: string | undefined;
  readonly ignored: readonly string[];
  /** Checks the request's key again, for an answer that stays open. Throws like the first check. */
  readonly checkKey: () => Promise<void>;
  readonly lastEventId: string | null;
}

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

export function bodySchema(endpoint: Pick<Endpoint, "body">, settings: ServedSettings): Schema | undefined {
  return typeof endpoint.body === "function" ? endpoint.body(settings) : endpoint.body;
}
