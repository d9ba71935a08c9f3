import type { Resource } from "../../synthesis/synthesize.ts";
import type { DeployedFunctions } from "../deployed.ts";
import { createEdge, type OriginAnswer, type ViewerRequest } from "../edge.ts";
import { decodedPath, functionUrlEvent, httpApiEvent, type MatchedRoute, type OriginRequest } from "./events.ts";
import type { Answered } from "./runtime-api.ts";

/** Answers requests through the edge, the API and the zips. */
export function createGateway(
  resources: readonly Resource[],
  functions: DeployedFunctions,
): (request: ViewerRequest) => Promise<OriginAnswer> {
  const edge = createEdge(resources);
  const getRoute = httpApiRoutes(resources);
  const urls = functionUrls(resources);
  return async (viewer) => {
    const result = edge(viewer);
    if ("status" in result) return result;
    const { host, request } = result;
    const url = urls.get(host);
    if (url) {
      const answered = await functions.named(url.functionName).invoke(functionUrlEvent(request, url.id));
      return withoutBody(request, toAnswer(answered, 502));
    }
    if (host.startsWith("socket.")) return noUpgrade;
    if (getSize(request) > MOST_OF_A_REQUEST) return tooLarge;
    const { functionArn, ...matched } = getRoute(request);
    const answered = await functions.named(functionArn).invoke(httpApiEvent(request, matched));
    return withoutBody(request, toAnswer(answered, 500));
  };
}

/**
 * Limit of the request line and header values in bytes ("Quotas for configuring and running an HTTP API"). AWS does not
 * document the status of larger requests.
 */
const MOST_OF_A_REQUEST = 10_240;

function getSize({ method, path, query, headers }: OriginRequest): number {
  const line = `${method} ${path}${query === "" ? "" : `?${query}`} HTTP/1.1`;
  return [line, ...Object.values(headers)].reduce((sum, part) => sum + Buffer.byteLength(part), 0);
}

interface Route extends MatchedRoute {
  readonly functionArn: string;
}

/**
 * Finds the route of a request. Fixed segments take precedence over parameters, and `$default` matches the rest (API
 * Gateway Developer Guide, "Create routes for HTTP APIs").
 */
function httpApiRoutes(resources: readonly Resource[]): (request: OriginRequest) => Route {
  const uris = new Map(
    ofType(resources, "aws:apigatewayv2/integration:Integration").map(({ name, inputs }) => [
      `integrations/${name}-id`,
      String(inputs.integrationUri),
    ]),
  );
  const routes = ofType(resources, "aws:apigatewayv2/route:Route")
    .filter(({ inputs }) => inputs.apiId === "ApiApi-id")
    .map(({ inputs }) => ({ routeKey: String(inputs.routeKey), functionArn: uris.get(inputs.target) ?? "" }))
    .toSorted((left, right) => (getOrder(left.routeKey) < getOrder(right.routeKey) ? -1 : 1));
  return ({ method, path }) => {
    const segments = decodedPath(path).split("/");
    for (const { routeKey, functionArn } of routes) {
      const pathParameters = findParameters(routeKey, method, segments);
      if (pathParameters) return { routeKey, functionArn, pathParameters };
    }
    const fallback = routes.find(({ routeKey }) => routeKey === "$default");
    if (!fallback) throw new Error("The API has no default route");
    return { ...fallback, pathParameters: {} };
  };
}

/** Sorts fixed segments before parameters, from left to right. */
function getOrder(routeKey: string): string {
  return routeKey.replaceAll(/\{\w+\}/g, "\uffff");
}

function findParameters(
  routeKey: string,
  method: string,
  segments: readonly string[],
): Record<string, string> | undefined {
  const [wanted, path = ""] = routeKey.split(" ");
  const parts = path.split("/");
  if (wanted !== method || parts.length !== segments.length) return undefined;
  const parameters: Record<string, string> = {};
  for (const [n, part] of parts.entries()) {
    const [text = "", name] = [segments[n], /^\{(\w+)\}$/.exec(part)?.[1]];
    if (name === undefined ? text !== part : text === "") return undefined;
    if (name !== undefined) parameters[name] = text;
  }
  return parameters;
}

interface FunctionUrl {
  readonly id: string;
  readonly functionName: string;
}

function functionUrls(resources: readonly Resource[]): ReadonlyMap<string, FunctionUrl> {
  return new Map(
    ofType(resources, "aws:lambda/functionUrl:FunctionUrl").map(({ name, inputs }) => {
      const id = name.toLowerCase();
      return [`${id}.lambda-url.us-east-1.on.aws`, { id, functionName: String(inputs.functionName) }];
    }),
  );
}

function ofType(resources: readonly Resource[], type: string): Resource[] {
  return resources.filter((resource) => resource.type === type && !resource.read);
}

/** Converts a function's result. Failures get the answer of API Gateway or the function URL. */
function toAnswer(answered: Answered, failed: number): OriginAnswer {
  const value = "value" in answered ? (answered.value as Partial<Result> | null) : undefined;
  if (typeof value?.statusCode !== "number") return gatewayAnswer(failed, "Internal Server Error");
  const { statusCode: status, headers: named = {}, cookies = [], body = "", isBase64Encoded = false } = value;
  const headers = { ...named, ...(cookies.length > 0 && { "set-cookie": cookies.join() }) };
  return { status, headers, body: Buffer.from(body, isBase64Encoded ? "base64" : "utf8") };
}

interface Result {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  readonly body: string;
  readonly isBase64Encoded: boolean;
}

function gatewayAnswer(status: number, message: string): OriginAnswer {
  const body = Buffer.from(JSON.stringify({ message }));
  return { status, headers: { "content-type": "application/json" }, body };
}

const noUpgrade = gatewayAnswer(403, "Forbidden");

const tooLarge = gatewayAnswer(431, "Request Header Fields Too Large");

function withoutBody({ method }: OriginRequest, answer: OriginAnswer): OriginAnswer {
  return method === "HEAD" ? { ...answer, body: Buffer.alloc(0) } : answer;
}
