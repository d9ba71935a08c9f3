import { randomUUID } from "node:crypto";
import { ACCOUNT, REGION } from "../../synthesis/cloud.ts";

/** A request that reaches an origin behind the edge. Header names are in lower case. */
export interface OriginRequest {
  readonly method: string;
  /** Escaped as the edge sends it. */
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/**
 * Builds the event of an HTTP API, with its path decoded once (API Gateway Developer Guide, "Create AWS Lambda proxy
 * integrations for HTTP APIs", payload format 2.0).
 */
export function httpApiEvent(request: OriginRequest, matched: MatchedRoute): object {
  const rawPath = decodedPath(request.path);
  const { pathParameters } = matched;
  return {
    ...requestEvent(request, { domainName: `api.execute-api.${REGION}.amazonaws.com`, rawPath, ...matched }),
    ...(Object.keys(pathParameters).length > 0 && { pathParameters }),
  };
}

export interface MatchedRoute {
  /** Such as `GET /v1/jobs/{job_id}`. */
  readonly routeKey: string;
  readonly pathParameters: Readonly<Record<string, string>>;
}

/** Decodes each valid escape once, as AWS does, and keeps the rest. */
export function decodedPath(path: string): string {
  return path.replaceAll(/(?:%[0-9a-f]{2})+/gi, (escapes) =>
    Buffer.from(escapes.replaceAll("%", ""), "hex").toString("utf8"),
  );
}

/**
 * Builds the event of a function URL, whose path stays escaped (Lambda Developer Guide, "Invoking Lambda function
 * URLs").
 */
export function functionUrlEvent(request: OriginRequest, id: string): object {
  const domainName = `${id}.lambda-url.${REGION}.on.aws`;
  return requestEvent(request, { domainName, rawPath: request.path, routeKey: "$default" });
}

interface Target {
  readonly domainName: string;
  readonly rawPath: string;
  readonly routeKey: string;
}

function requestEvent({ method, query, headers, body }: OriginRequest, { domainName, rawPath, routeKey }: Target) {
  const { cookie, ...others } = headers;
  const isText = textTypes.test(headers["content-type"] ?? "");
  const pairs = [...new URLSearchParams(query)];
  const now = new Date();
  return {
    version: "2.0",
    routeKey,
    rawPath,
    rawQueryString: query,
    ...(cookie !== undefined && { cookies: cookie.split("; ") }),
    headers: { ...others, "x-forwarded-proto": "https", "x-forwarded-port": "443", host: domainName },
    ...(pairs.length > 0 && { queryStringParameters: joined(pairs) }),
    requestContext: {
      accountId: ACCOUNT,
      apiId: domainName.split(".")[0],
      domainName,
      domainPrefix: domainName.split(".")[0],
      http: {
        method,
        path: rawPath,
        protocol: "HTTP/1.1",
        sourceIp: "192.0.2.1",
        userAgent: headers["user-agent"] ?? "",
      },
      requestId: randomUUID(),
      routeKey,
      stage: "$default",
      time: now.toUTCString(),
      timeEpoch: now.getTime(),
    },
    ...(body && body.byteLength > 0 && { body: Buffer.from(body).toString(isText ? "utf8" : "base64") }),
    isBase64Encoded: !isText && body !== undefined && body.byteLength > 0,
  };
}

/** Other types are base64-encoded ("Working with binary media types for HTTP APIs"). */
const textTypes = /^(text\/|application\/(json|javascript|xml))/i;

function joined(pairs: readonly (readonly [string, string])[]): Record<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of pairs) values.set(name, values.has(name) ? `${values.get(name)},${value}` : value);
  return Object.fromEntries(values);
}

/** Builds the event of a new connection ("Route selection expressions", `$connect`). */
export function connectEvent(request: OriginRequest, connectionId: string = randomUUID()): object {
  return socketEvent(request, connectionId, "CONNECT");
}

/**
 * Builds the last event of a connection, after an end by either side ("Route selection expressions", `$disconnect`).
 */
export function disconnectEvent(request: OriginRequest, connectionId: string): object {
  return socketEvent(request, connectionId, "DISCONNECT");
}

function socketEvent({ query, headers }: OriginRequest, connectionId: string, eventType: "CONNECT" | "DISCONNECT") {
  const pairs = [...new URLSearchParams(query)];
  const names = [...new Set(pairs.map(([name]) => name))];
  const listValues = (name: string) => pairs.filter(([each]) => each === name).map(([, value]) => value);
  const hasQuery = names.length > 0;
  const canonical = Object.entries(headers).map(([name, value]) => [canonicalName(name), value] as const);
  return {
    headers: Object.fromEntries(canonical),
    multiValueHeaders: Object.fromEntries(canonical.map(([name, value]) => [name, [value]])),
    queryStringParameters: hasQuery ? Object.fromEntries(pairs) : null,
    multiValueQueryStringParameters: hasQuery
      ? Object.fromEntries(names.map((name) => [name, listValues(name)]))
      : null,
    requestContext: {
      routeKey: `$${eventType.toLowerCase()}`,
      eventType,
      messageDirection: "IN",
      connectionId,
      stage: "socket",
      domainName: `socket.execute-api.${REGION}.amazonaws.com`,
      apiId: "socket",
      requestId: randomUUID(),
      identity: { sourceIp: "192.0.2.1" },
      requestTimeEpoch: Date.now(),
      connectedAt: Date.now(),
    },
    isBase64Encoded: false,
  };
}

/** API Gateway capitalizes header names in these events. */
function canonicalName(name: string): string {
  return name.replaceAll(/(^|-)[a-z]/g, (start) => start.toUpperCase());
}

export interface QueueMessage {
  readonly id: string;
  readonly receipt: string;
  readonly body: string;
  /** SQS attributes: `SentTimestamp`, `ApproximateReceiveCount`, and the group in a FIFO queue. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Builds the event of a queue's messages ("Using Lambda with Amazon SQS"). */
export function sqsEvent(queueArn: string, messages: readonly QueueMessage[]): object {
  return {
    Records: messages.map(({ id, receipt, body, attributes }) => ({
      messageId: id,
      receiptHandle: receipt,
      body,
      attributes,
      messageAttributes: {},
      md5OfBody: "0".repeat(32),
      eventSource: "aws:sqs",
      eventSourceARN: queueArn,
      awsRegion: REGION,
    })),
  };
}

/** Returns the event of EventBridge Scheduler, which is the target's input. */
export function scheduleEvent(input: string): unknown {
  return JSON.parse(input);
}
