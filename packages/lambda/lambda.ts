import { systemClock } from "#aws/clock.ts";
import { readConfig, readSettings } from "#aws/config.ts";
import { systemIds } from "#aws/ids.ts";
import { jsonLog } from "#aws/log.ts";
import type { PortName, Ports } from "#core/context.ts";
import { buildApp } from "#http/app.ts";
import { runSchedule, type Schedule } from "#http/cron.ts";
import type { Endpoint } from "#http/endpoint.ts";
import type { Route } from "#http/routes.ts";
import { contextOf, type Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { type Consumer, consume } from "#http/work.ts";
import { type GatewayResult, gatewayEventOf, requestOfEvent, resultOfResponse } from "./gateway.ts";
import { ORIGIN_HEADER, originCheck } from "./origin.ts";
import { allFailed, type SqsResult, sqsEventOf } from "./sqs.ts";

/** Makes a port from the environment. Called at init on Lambda, and nowhere else before the first event. */
type Factory<Port> = () => Port;

/** One factory for each port that is needed, and none for any other. */
export type Factories<Needs extends PortName> = { readonly [Name in Needs]: Factory<Ports[Name]> } & {
  readonly [Name in Exclude<PortName, Needs>]?: never;
};

export type GatewayHandler = (event: unknown) => Promise<GatewayResult>;

/** The Lambda handler of one endpoint behind an HTTP API (payload format 2.0). */
export function lambda<Needs extends PortName>(
  endpoint: Endpoint<Needs>,
  factories: Factories<NoInfer<Needs>>,
): GatewayHandler {
  return gatewayHandler(() => buildApp(runtimeOf<Needs>(factories), [endpoint]).fetch);
}

/** The Lambda handler behind the gateway's default route, which knows all routes and serves none. */
export function fallbackLambda(readRoutes: () => readonly Route[]): GatewayHandler {
  return gatewayHandler(() => buildApp(runtimeOf<never>({}), [], readRoutes()).fetch);
}

/** The Lambda handler of a consumer; its event source must report batch item failures. */
export function consumerLambda<Uses extends PortName>(
  consumer: Consumer<Uses>,
  factories: Factories<NoInfer<Uses>>,
): (event: unknown) => Promise<SqsResult> {
  const context = atInit(() => contextOf(runtimeOf<Uses>(factories)));
  return async (event) => {
    const { Records } = sqsEventOf(event) ?? {};
    if (!Records) return refuse(event, allFailed);
    const bodies = Records.map(({ body }) => body);
    const again = new Set(await consume(consumer, context(), bodies));
    const failures = Records.filter((_, at) => again.has(at));
    return { batchItemFailures: failures.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}

/** The Lambda handler of a schedule. */
export function scheduleLambda<Uses extends PortName>(
  schedule: Schedule<Uses>,
  factories: Factories<NoInfer<Uses>>,
): () => Promise<void> {
  const context = atInit(() => contextOf(runtimeOf<Uses>(factories)));
  return () => runSchedule(schedule, context(), functionName() ?? "");
}

function gatewayHandler(makeFetch: () => (request: Request) => Response | Promise<Response>): GatewayHandler {
  const init = atInit(() => {
    // The first Request loads undici, which takes about 15 ms: at init, not in a user's request.
    new Request("https://gateway/");
    return { fetch: makeFetch(), isFromEdge: originCheck(readConfig(["ORIGIN_SECRETS"]).ORIGIN_SECRETS) };
  });
  return async (given) => {
    const { fetch, isFromEdge } = init();
    const event = gatewayEventOf(given);
    if (!event) return refuse(given, refusal(400, "Bad Request"));
    // Whoever finds the address behind the edge would get around what the edge keeps off.
    if (!isFromEdge(event.headers[ORIGIN_HEADER])) return refusal(403, "Forbidden");
    return resultOfResponse(await fetch(requestOfEvent(event)));
  };
}

/** In the words of API Gateway's own refusals: no dialect is known yet. */
function refusal(statusCode: number, message: string): GatewayResult {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return { statusCode, headers, body: JSON.stringify({ message }), isBase64Encoded: false };
}

/** Names of fields alone: what an unknown event holds may be anything. */
function refuse<Answer>(event: unknown, answer: Answer): Answer {
  const fields = typeof event === "object" && event !== null ? Object.keys(event).sort().slice(0, 20) : typeof event;
  jsonLog().error("unknown event", { fields });
  return answer;
}

/** Made now on Lambda, where an import is the init; elsewhere only when first asked for. */
function atInit<Made>(make: () => Made): () => Made {
  let made: { readonly it: Made } | undefined = functionName() === undefined ? undefined : { it: make() };
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

function runtimeOf<Needs extends PortName>(factories: Factories<Needs>): Runtime<Needs> {
  const clock = systemClock();
  const settings = readSettings();
  if (settings.open) throw new Error("BERTH_OPEN is for the local stack: here every request needs a key");
  return {
    ports: portsOf(factories),
    clock,
    ids: systemIds(),
    log: jsonLog(),
    settings,
    deployment: {
      version,
      startedAt: deployedAt() ?? clock.now(),
      isolation: "container",
      limits: "container (memory, cpu)",
    },
  };
}

/** Sound because each factory is known by the name of the port that it makes. */
function portsOf<Needs extends PortName>(factories: Factories<Needs>): Pick<Ports, Needs> {
  const made = Object.entries<unknown>(factories).map(([name, make]) => [name, (make as Factory<unknown>)()]);
  return Object.fromEntries(made) as Pick<Ports, Needs>;
}

/** Set by Lambda itself. */
function functionName(): string | undefined {
  return process.env.AWS_LAMBDA_FUNCTION_NAME;
}

/** Milliseconds since the epoch, set at deployment. */
function deployedAt(): number | undefined {
  const at = Date.parse(process.env.DEPLOYED_AT ?? "");
  return Number.isNaN(at) ? undefined : at;
}
