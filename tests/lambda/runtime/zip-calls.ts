import type { FunctionEntry } from "../../../stacks/compute/functions-file.ts";
import { connectEvent, httpApiEvent, type OriginRequest, sqsEvent } from "./events.ts";
import type { Answered } from "./runtime-api.ts";

/** An event of AWS and the check of its answer. */
export interface ZipCall {
  readonly event: unknown;
  readonly isRight: (answered: Answered) => boolean;
}

/**
 * Lists calls that need no AWS service. Through the edge, public endpoints answer and others require a key. Requests
 * around the edge are refused. Schedules are only loaded, because they read the table at once.
 */
export function listCalls(entry: FunctionEntry, originSecret: string): ZipCall[] {
  const edge = { "x-berth-origin": originSecret };
  if (entry.kind === "schedule") return [];
  if (entry.kind === "consumer") return [batch];
  if (entry.kind === "socket") {
    const path = formatPath(entry.path);
    const connect = (headers: object) => connectEvent(requestTo("GET", "/", { "x-berth-path": path, ...headers }));
    return [batch, { event: connect({}), isRight: hasStatus(403) }, { event: connect(edge), isRight: hasStatus(401) }];
  }
  const [method, path] = entry.kind === "endpoint" ? [entry.method, formatPath(entry.path)] : ["get", "/nothing-there"];
  const ask = (headers: Readonly<Record<string, string>>) =>
    httpApiEvent(requestTo(method.toUpperCase(), path, headers), { routeKey: entry.route, pathParameters: {} });
  const past: ZipCall = { event: ask({}), isRight: hasStatus(403) };
  const status = entry.kind === "fallback" ? 404 : entry.public ? 200 : 401;
  const reachesOut = entry.kind === "endpoint" && entry.public && entry.uses.length > 0;
  return reachesOut ? [past] : [past, { event: ask(edge), isRight: hasStatus(status) }];
}

const batch: ZipCall = {
  event: sqsEvent("arn:aws:sqs:us-east-1:123456789012:queue", []),
  isRight: (answered) => JSON.stringify(answered) === '{"value":{"batchItemFailures":[]}}',
};

function hasStatus(wanted: number): ZipCall["isRight"] {
  return (answered) => {
    const value = "value" in answered ? answered.value : undefined;
    const { statusCode, headers, body } = (value ?? {}) as Readonly<Record<string, unknown>>;
    return statusCode === wanted && typeof headers === "object" && typeof body === "string";
  };
}

function formatPath(template: string): string {
  return template
    .replace("{asset}", "swagger-ui.css")
    .replace("{file}", "berth.tgz")
    .replaceAll(/\{\w+\}/g, "one");
}

function requestTo(method: string, path: string, headers: Readonly<Record<string, string>>): OriginRequest {
  return { method, path, query: "", headers, body: undefined };
}
