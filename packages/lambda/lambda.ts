import { systemClock } from "#aws/clock.ts";
import { systemIds } from "#aws/ids.ts";
import { readConfig } from "#aws/settings/config.ts";
import { readSettings } from "#aws/settings/settings.ts";
import type { Context, PortName, Ports } from "#core/context.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";
import { type App, buildApp, fetchPlain } from "#http/app.ts";
import { runSchedule, type Schedule } from "#http/cron.ts";
import type { Endpoint } from "#http/endpoint.ts";
import type { Route } from "#http/routes.ts";
import { createContext, type Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import { type Consumer, consume } from "#http/work.ts";
import { type ClockUser, guardClock, isClockWrong } from "./clock-guard.ts";
import { functionLog } from "./function-log.ts";
import { type GatewayResult, parseGatewayEvent, requestOfEvent, resultOfResponse, VIEWER_HEADER } from "./gateway.ts";
import { ORIGIN_HEADER, originCheck, refusedOrigins } from "./origin.ts";
import { allFailed, lagMs, parseSqsEvent, type SqsResult } from "./sqs.ts";

/** Creates a port from the environment: at init on Lambda, elsewhere at the first event. */
type Factory<Port> = () => Port;

export type Factories<Needs extends PortName> = { readonly [Name in Needs]: Factory<Ports[Name]> } & {
  readonly [Name in Exclude<PortName, Needs>]?: never;
};

export interface Invocation {
  readonly awsRequestId?: string;
}

export type GatewayHandler = (event: unknown, invocation?: Invocation) => Promise<GatewayResult>;

/** Returns the Lambda handler of one endpoint, behind an HTTP API or a function URL. Both send payload format 2.0. */
export function lambda<Needs extends PortName>(
  endpoint: Endpoint<Needs>,
  factories: Factories<NoInfer<Needs>>,
): GatewayHandler {
  return gatewayHandler((log) => buildApp(createRuntime<Needs>(factories, log), [endpoint]));
}

/** Returns the Lambda handler of the gateway's default route, which knows all routes and serves none. */
export function fallbackLambda(readRoutes: () => readonly Route[]): GatewayHandler {
  return gatewayHandler((log) => buildApp(createRuntime<never>({}, log), [], readRoutes()));
}

/** Returns the Lambda handler of a consumer. Its event source must report batch item failures. */
export function consumerLambda<Uses extends PortName>(
  consumer: Consumer<Uses>,
  factories: Factories<NoInfer<Uses>>,
): (event: unknown, invocation?: Invocation) => Promise<SqsResult> {
  const log = functionLog();
  const context = atInit(() => createContext(createRuntime<Uses>(factories, log, "worker")));
  return async (event, invocation) => {
    log.begin(invocation?.awsRequestId);
    const received = parseSqsEvent(event);
    if (!received) return refuse(log, event, allFailed);
    const { Records } = received;
    const bodies = Records.map(({ body }) => body);
    const { clock, table } = context() as Context & Partial<Ports>;
    const startedAt = clock.monotonic();
    // A FIFO queue delays no message, so its whole age is waiting time.
    const waited = consumer.queue === "pools" ? lagMs(received, clock.now()) : undefined;
    const failed = new Set(await consume(consumer, context(), bodies));
    const failures = Records.filter((_, at) => failed.has(at));
    if (failures.length > 0 && isClockWrong(table)) await clock.sleep(REFUSED_PAUSE_MS);
    const counts = { messages: Records.length, failed: failures.length, ...(waited !== undefined && { waited }) };
    log.info("batch", { queue: consumer.queue, ...counts, ms: Math.round(clock.monotonic() - startedAt) });
    return { batchItemFailures: failures.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}

/** Slows down a worker that refuses everything, which would otherwise take most messages of the queue. */
const REFUSED_PAUSE_MS = 1_000;

/** Returns the Lambda handler of a schedule. It throws after a failure: the alarm reads Lambda's error count. */
export function scheduleLambda<Uses extends PortName>(
  schedule: Schedule<Uses>,
  factories: Factories<NoInfer<Uses>>,
): (event?: unknown, invocation?: Invocation) => Promise<void> {
  const log = functionLog();
  const context = atInit(() => createContext(createRuntime<Uses>(factories, log, "worker")));
  return async (_, invocation) => {
    log.begin(invocation?.awsRequestId);
    if (!(await runSchedule(schedule, context(), functionName() ?? ""))) throw new Error("The schedule failed");
  };
}

function gatewayHandler(makeApp: (log: Log) => App): GatewayHandler {
  const log = functionLog();
  const init = atInit(() => ({
    app: makeApp(log),
    isFromEdge: originCheck(readConfig(["ORIGIN_SECRETS"]).ORIGIN_SECRETS),
    noteRefused: refusedOrigins(log, systemClock()),
  }));
  return async (rawEvent, invocation) => {
    log.begin(invocation?.awsRequestId);
    const { app, isFromEdge, noteRefused } = init();
    const event = parseGatewayEvent(rawEvent);
    if (!event) return refuse(log, rawEvent, refusal(400, "Bad Request"));
    // A client that finds the address behind the edge could bypass the firewall and forge the edge's headers.
    if (!isFromEdge(event.headers[ORIGIN_HEADER])) {
      noteRefused();
      return refusal(403, "Forbidden");
    }
    return resultOfResponse(await fetchPlain(app, requestOfEvent(event), { viewer: event.headers[VIEWER_HEADER] }));
  };
}

/** Answers like API Gateway itself, because the dialect is not known yet. */
export function refusal(statusCode: number, message: string): GatewayResult {
  const headers = { "content-type": "application/json", "cache-control": "no-store" };
  return { statusCode, headers, body: JSON.stringify({ message }), isBase64Encoded: false };
}

/** Logs only the field names of an unknown event, since its values may be secret, and returns `answer`. */
export function refuse<Answer>(log: Log, event: unknown, answer: Answer): Answer {
  const fields = typeof event === "object" && event !== null ? Object.keys(event).sort().slice(0, 20) : typeof event;
  log.error("unknown event", { fields });
  return answer;
}

/** Creates a value at init on Lambda, elsewhere at the first call. */
export function atInit<Made>(make: () => Made): () => Made {
  let made: { readonly it: Made } | undefined = functionName() === undefined ? undefined : { it: make() };
  return () => {
    made ??= { it: make() };
    return made.it;
  };
}

export function createRuntime<Needs extends PortName>(
  factories: Factories<Needs>,
  log: Log,
  user: ClockUser = "request",
): Runtime<Needs> {
  const clock = systemClock();
  const settings = readSettings();
  if (settings.open) throw new Error("BERTH_OPEN is for the local stack: here every request needs a key");
  return {
    ports: guarded(getPorts(factories), user, { log, clock }),
    clock,
    ids: systemIds(),
    log,
    settings,
    deployment: {
      version,
      startedAt: deployedAt() ?? clock.now(),
      isolation: "container",
      limits: "container (memory, cpu)",
      ...(process.env.AWS_REGION && { region: process.env.AWS_REGION }),
    },
  };
}

/** The casts are sound: `Factories` ties each factory to its port. */
function getPorts<Needs extends PortName>(factories: Factories<Needs>): Pick<Ports, Needs> {
  const made = Object.entries<unknown>(factories).map(([name, make]) => [name, (make as Factory<unknown>)()]);
  return Object.fromEntries(made) as Pick<Ports, Needs>;
}

function guarded<Made extends Partial<Pick<Ports, "table">>>(
  ports: Made,
  ...options: [user: ClockUser, parts: { readonly log: Log; readonly clock: Clock }]
): Made {
  return ports.table ? { ...ports, table: guardClock(ports.table, ...options) } : ports;
}

function functionName(): string | undefined {
  return process.env.AWS_LAMBDA_FUNCTION_NAME;
}

/** Returns the start of this deployment in ms, from DEPLOYED_AT, which stacks/ sets. */
function deployedAt(): number | undefined {
  const at = Date.parse(process.env.DEPLOYED_AT ?? "");
  return Number.isNaN(at) ? undefined : at;
}
