import { Hono, type Context as HonoContext } from "hono";
import type { PortName } from "#core/context.ts";
import type { Table } from "#core/ports/table.ts";
import { HttpError } from "./answers/http-error.ts";
import { problemResponse } from "./answers/problem-response.ts";
import type { Dialect, DialectName } from "./dialect.ts";
import { dev8Dialect } from "./dialects/dev8.ts";
import { gpuDevDialect } from "./dialects/gpu-dev.ts";
import { novitaDialect } from "./dialects/novita.ts";
import { onmemosDialect } from "./dialects/onmemos.ts";
import { sessionManagerDialect } from "./dialects/session-manager.ts";
import type { Endpoint } from "./endpoint.ts";
import { logExchange, openExchange } from "./exchange.ts";
import { type KeyCheck, keyCheck, keyMemory } from "./keys/key-check.ts";
import { splitPathKey } from "./keys/key-prefix.ts";
import { type PlainRequest, type PlainResponse, toResponse } from "./request/plain-request.ts";
import { requestHandler } from "./request/request-handler.ts";
import { honoPath, inRoutingOrder, listMethods, type Route } from "./routes.ts";
import type { Runtime } from "./runtime.ts";

export interface Edge {
  readonly viewer?: string | undefined;
}

interface AppEnv {
  Bindings: Edge & { readonly plain?: boolean };
}

export type App = Hono<AppEnv>;

/**
 * Builds a Hono app that serves these endpoints: one on Lambda, all on a laptop and in tests. Other requests get 404,
 * or 405 if one of `routes` (by default the endpoints') has the path with another method.
 */
export function buildApp<Needs extends PortName>(
  runtime: Runtime<Needs>,
  endpoints: readonly Endpoint<Needs>[],
  routes: readonly Route[] = endpoints,
): App {
  const withKeys = assumeAllPorts({ ...runtime, keys: runtime.keys ?? keyMemory() });
  const check = endpoints.every((endpoint) => endpoint.public) ? admitNobody : getKeyCheck(withKeys);
  const app = new Hono<AppEnv>({ getPath: (request) => splitPathKey(request).path });
  for (const endpoint of inRoutingOrder(endpoints)) {
    const serve = requestHandler(withKeys, endpoint, check);
    app.on(endpoint.method.toUpperCase(), honoPath(endpoint.path), async (c) => {
      const response = await serve({
        request: c.req.raw,
        path: c.req.path,
        params: c.req.param(),
        keyInPath: splitPathKey(c.req.raw).key,
        viewer: c.env?.viewer,
      });
      return handOn(c, response);
    });
  }
  app.notFound((c) => refuse(withKeys, c, noRoute(routes, c.req.path, c.req.method)));
  app.onError((error, c) => refuse(withKeys, c, error));
  return app;
}

/**
 * Answers a plain request with a plain response, so that the function never loads undici. The casts are sound: Hono
 * reads only the method and URL of a request, and returns the result of `handOn` unchanged.
 */
export async function fetchPlain(app: App, request: PlainRequest, edge: Edge): Promise<PlainResponse> {
  const answered: unknown = await app.fetch(request as Request, { ...edge, plain: true });
  // Hono answers HEAD with a Response made from the answer to GET.
  if (request.method !== "HEAD") return answered as PlainResponse;
  const { status, headers } = answered as Response;
  return { status, headers: Object.fromEntries(headers), body: "" };
}

function handOn(c: HonoContext<AppEnv>, response: PlainResponse): Response {
  return c.env?.plain ? (response as unknown as Response) : toResponse(response);
}

/** Sound because the endpoints' types admit only verbs that use the ports in `Needs`. */
function assumeAllPorts<Needs extends PortName>(runtime: Runtime<Needs>): Runtime {
  return runtime as unknown as Runtime;
}

/** Key check of an app with public endpoints only. It has no table, and is never called. */
async function admitNobody(): Promise<never> {
  throw new HttpError("noKey");
}

function getKeyCheck({ ports, ids, clock, settings, keys }: Runtime): KeyCheck {
  const { table }: { readonly table: Table } = ports;
  return keyCheck({ table, ids, clock, settings, memory: keys });
}

/**
 * A gateway finds no route for a path with dot segments or escaped letters, but passes the normalized path on.
 * Without this check a 405 would list the request's own method as allowed.
 */
function noRoute(routes: readonly Route[], path: string, method: string): HttpError {
  const allow = listMethods(routes, path);
  if (allow.includes(method === "HEAD" ? "GET" : method)) return new HttpError("unknownPath");
  return allow.length > 0 ? new HttpError("wrongMethod", { allow }) : new HttpError("unknownPath");
}

function refuse(runtime: Runtime, c: HonoContext<AppEnv>, error: unknown): Response {
  const { path, raw } = c.req;
  const exchange = openExchange(runtime, raw, {
    path,
    route: undefined,
    dialect: dialectOfPath(path),
    viewer: c.env?.viewer,
  });
  const response = problemResponse(runtime, exchange, error);
  logExchange(runtime, exchange, response.status);
  return handOn(c, response);
}

/** Returns the dialect that answers a path, known or not (docs/apis/common.md#which-dialect-answers). */
export function dialectOfPath(path: string): Dialect {
  return Object.values(places).find(({ pattern }) => pattern.test(path))?.dialect ?? gpuDevDialect;
}

const places = {
  "session-manager": { dialect: sessionManagerDialect, pattern: /^\/(session(\/|$)|sessions$)/ },
  onmemos: { dialect: onmemosDialect, pattern: /^\/v1\/(sessions(\/|$)|cloudrun\/)/ },
  dev8: { dialect: dev8Dialect, pattern: /^\/api\/v1\// },
  novita: { dialect: novitaDialect, pattern: /^\/api\// },
  "gpu-dev": { dialect: gpuDevDialect, pattern: /^\// },
} satisfies Readonly<Record<DialectName, { readonly dialect: Dialect; readonly pattern: RegExp }>>;
