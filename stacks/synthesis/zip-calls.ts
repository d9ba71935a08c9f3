import type { FunctionEntry } from "../functions-file.ts";

/** An event as AWS would send it, and what is wrong with the answer to it; nothing: it is as it should be. */
export interface ZipCall {
  readonly event: unknown;
  readonly isRight: (answer: unknown) => boolean;
}

export const originSecret = "s".repeat(32);

/**
 * Calls that reach nothing outside of the function: behind the edge what needs no key and no port answers, whatever needs a
 * key asks for it, and past the edge nothing does. A schedule asks the table at once, and is only loaded.
 */
export function callsOf(entry: FunctionEntry): ZipCall[] {
  if (entry.kind === "schedule") return [];
  if (entry.kind === "consumer") return [batch];
  if (entry.kind === "socket") {
    const connect = (headers: object) => connectEvent(entry.path, headers);
    return [batch, { event: connect({}), isRight: hasStatus(403) }, { event: connect(edge), isRight: hasStatus(401) }];
  }
  const [method, path] = entry.kind === "endpoint" ? [entry.method, entry.path] : ["get", "/nothing-there"];
  const request = (headers: object) => requestEvent(method.toUpperCase(), path, headers);
  const past: ZipCall = { event: request({}), isRight: hasStatus(403) };
  const status = entry.kind === "fallback" ? 404 : entry.public ? 200 : 401;
  const reachesOut = entry.kind === "endpoint" && entry.public && entry.uses.length > 0;
  return reachesOut ? [past] : [past, { event: request(edge), isRight: hasStatus(status) }];
}

const edge = { "x-berth-origin": originSecret };

const batch: ZipCall = {
  event: { Records: [] },
  isRight: (answer) => JSON.stringify(answer) === '{"batchItemFailures":[]}',
};

function hasStatus(wanted: number): ZipCall["isRight"] {
  return (answer) => {
    const { statusCode, headers, body } = (answer ?? {}) as Readonly<Record<string, unknown>>;
    return statusCode === wanted && typeof headers === "object" && typeof body === "string";
  };
}

/** Of an HTTP API or a function URL, payload format 2.0 (Lambda Developer Guide, "Invoking a function using an API"). */
function requestEvent(method: string, template: string, headers: object): unknown {
  const path = template.replace("{asset}", "swagger-ui.css").replaceAll(/\{\w+\}/g, "one");
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: path,
    rawQueryString: "",
    isBase64Encoded: false,
    headers: { host: "abc.execute-api.us-east-1.amazonaws.com", ...headers },
    requestContext: {
      accountId: "123456789012",
      apiId: "abc",
      domainName: "abc.execute-api.us-east-1.amazonaws.com",
      http: { method, path, protocol: "HTTP/1.1", sourceIp: "192.0.2.1", userAgent: "test" },
      requestId: "JKJaXmPLvHcESHA=",
      routeKey: "$default",
      stage: "$default",
    },
  };
}

/** Of a WebSocket API ("Route selection expressions", `$connect`). */
function connectEvent(template: string, headers: object): unknown {
  const path = template.replaceAll(/\{\w+\}/g, "one");
  return {
    headers: { "X-Berth-Path": path, ...headers },
    multiValueQueryStringParameters: null,
    requestContext: {
      routeKey: "$connect",
      eventType: "CONNECT",
      connectionId: "L0SM9cOFvHcCIhw=",
      stage: "socket",
      domainName: "abc.execute-api.us-east-1.amazonaws.com",
    },
  };
}
