import type { FunctionEntry, FunctionsFile } from "./compute/functions-file.ts";

/** Fields of an access log line. Path, query and user agent are omitted, because they may hold keys and names. */
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
 * Requests per second of the API, from all clients together. A request takes some 100 ms of one function, so 500 a
 * second take about 50 of the account's 1,000 concurrent calls, or 500 if all start cold. Consumers and schedules
 * keep their reservations (concurrency.ts). API Gateway's limit for all APIs of an account is 10,000 (API Gateway
 * Developer Guide, "Throttling requests to your HTTP API"). It answers 429 beyond the limit. The firewall limits
 * single addresses (firewall.ts).
 */
const MOST_REQUESTS_A_SECOND = 500;
const MOST_REQUESTS_AT_ONCE = 500;

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

interface Route {
  readonly route: string;
  readonly entry: FunctionEntry;
}

/** An HTTP API matches methods exactly, so HEAD needs its own route to the function of GET. */
function listRoutes(functions: FunctionsFile): Route[] {
  return functions.flatMap((entry): Route[] => {
    if (entry.kind === "fallback") return [{ route: entry.route, entry }];
    if (entry.kind !== "endpoint" || entry.functionUrl) return [];
    const head = entry.method === "get" ? [{ route: `HEAD ${entry.path}`, entry }] : [];
    return [{ route: entry.route, entry }, ...head];
  });
}
