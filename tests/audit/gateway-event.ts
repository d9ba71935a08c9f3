import { httpApiEvent } from "../lambda/runtime/events.ts";
import { originSecret } from "./audit-place.ts";

interface Sent {
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Builds the event of an HTTP API for a request that passed the edge. */
export function gatewayEvent(method: string, target: string, { key, body, headers: more }: Sent): unknown {
  const { pathname: path, search } = new URL(target, "https://gateway");
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const headers = {
    "x-berth-origin": originSecret,
    ...(text !== undefined && { "content-type": "application/json" }),
    ...(key !== undefined && { authorization: `Bearer ${key}` }),
    ...more,
  };
  const request = {
    method,
    path,
    query: search.slice(1),
    headers,
    body: text === undefined ? undefined : Buffer.from(text),
  };
  return httpApiEvent(request, { routeKey: `${method} ${path}`, pathParameters: {} });
}
