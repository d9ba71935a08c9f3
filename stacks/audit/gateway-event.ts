import { originSecret } from "./audit-place.ts";

interface Sent {
  readonly key?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** A request as an HTTP API hands it to a function, behind the edge (payload format 2.0). */
export function gatewayEvent(method: string, path: string, { key, body, headers }: Sent): unknown {
  const { pathname, search } = new URL(path, "https://gateway");
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  return {
    version: "2.0",
    rawPath: pathname,
    rawQueryString: search.slice(1),
    isBase64Encoded: false,
    headers: {
      "x-berth-origin": originSecret,
      ...(text !== undefined && { "content-type": "application/json" }),
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...headers,
    },
    ...(text !== undefined && { body: text }),
    requestContext: {
      domainName: "abc.execute-api.us-east-1.amazonaws.com",
      http: { method, path: pathname, protocol: "HTTP/1.1", sourceIp: "192.0.2.1" },
    },
  };
}
