import type { FunctionEntry, FunctionsFile } from "./compute/functions-file.ts";

/** What an access log line holds: neither path nor query nor user agent, in which keys and names could be. */
const accessLog = {
  requestTime: "$context.requestTime",
  requestId: "$context.requestId",
  routeKey: "$context.routeKey",
  status: "$context.status",
  latencyMs: "$context.responseLatency",
  integrationMs: "$context.integrationLatency",
  integrationStatus: "$context.integrationStatus",
};

/**
 * How many requests the API takes, from all clients together. A request takes some 100 ms of one function, so 500 a
 * second take about 50 of the account's 1,000 concurrent calls, and as many as 500 if all of them start cold. Looks,
 * plans and schedules keep their reservations (concurrency.ts), and the account keeps 9,500 of the 10,000 requests a
 * second of all its APIs (API Gateway Developer Guide, "Throttling requests to your HTTP API"). Callers beyond it are
 * answered 429 by API Gateway. The firewall keeps one address from using all of it (firewall.ts).
 */
const MOST_REQUESTS_A_SECOND = 500;
const MOST_REQUESTS_AT_ONCE = 500;

/** Makes the HTTP API: a route for each endpoint that answers in time, and a default route. */
export function makeApi(
  functions: FunctionsFile,
  getFunction: (entry: FunctionEntry) => sst.aws.Function,
): sst.aws.ApiGatewayV2 {
  const api = new sst.aws.ApiGatewayV2("Api", {
    cors: false,
    transform: {
      stage: (stage) => {
        stage.defaultRouteSettings = {
          throttlingRateLimit: MOST_REQUESTS_A_SECOND,
          throttlingBurstLimit: MOST_REQUESTS_AT_ONCE,
        };
        stage.accessLogSettings = $util.output(stage.accessLogSettings).apply((settings) => ({
          destinationArn: settings?.destinationArn ?? "",
          format: JSON.stringify(accessLog),
        }));
      },
    },
  });
  for (const { route, entry } of listRoutes(functions)) api.route(route, getFunction(entry).arn);
  return api;
}

interface RouteOf {
  readonly route: string;
  readonly entry: FunctionEntry;
}

/** An HTTP API matches methods exactly: where GET answers, HEAD does too, by the same function. */
function listRoutes(functions: FunctionsFile): RouteOf[] {
  return functions.flatMap((entry): RouteOf[] => {
    if (entry.kind === "fallback") return [{ route: entry.route, entry }];
    if (entry.kind !== "endpoint" || entry.functionUrl) return [];
    const head = entry.method === "get" ? [{ route: `HEAD ${entry.path}`, entry }] : [];
    return [{ route: entry.route, entry }, ...head];
  });
}
