import { runInNewContext } from "node:vm";
import type { Resource } from "../synthesis/synthesize.ts";
import type { OriginRequest } from "./runtime/events.ts";

/** A request of a client. Header names are in lower case. */
export interface ViewerRequest {
  readonly method: string;
  /** Request target: `/v1/jobs?limit=1`. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface OriginAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

export interface EdgeResult {
  /** Host of the origin: `api.execute-api.us-east-1.amazonaws.com`. */
  readonly host: string;
  readonly request: OriginRequest;
}

/**
 * Emulates the synthesized CloudFront distribution: refuses a request, answers it by the edge function, or forwards it
 * to an origin. Knows no bucket.
 */
export function createEdge(resources: readonly Resource[]): (request: ViewerRequest) => EdgeResult | OriginAnswer {
  const { inputs } = only(resources, "aws:cloudfront/distribution:Distribution");
  const { code } = only(resources, "aws:cloudfront/function:Function").inputs;
  const origins = new Map<string, Origin>(inputs.origins.map((origin: Origin) => [origin.originId, origin]));
  const behaviours: readonly Behaviour[] = [...inputs.orderedCacheBehaviors, inputs.defaultCacheBehavior];
  return (viewer) => {
    const [path = "", query = ""] = splitAt(viewer.target, "?");
    // CloudFront chooses the behaviour by the viewer's normalized path. Its function gets the original path.
    const asCompared = normalized(path);
    const behaviour = behaviours.find(({ pathPattern }) => matches(pathPattern, asCompared));
    const origin = origins.get(behaviour?.targetOriginId ?? "");
    if (!behaviour || !origin) throw new Error(`No behaviour takes ${path}`);
    if (!behaviour.allowedMethods.includes(viewer.method)) return refused;
    // CloudFront Developer Guide, "GET requests that include a body".
    if (viewer.method === "GET" && viewer.body !== undefined && viewer.body.byteLength > 0) return refused;
    const result = runFunction(code, viewer, path);
    if ("status" in result) return result;
    const { uri, headers } = result;
    return {
      host: origin.domainName,
      request: { method: viewer.method, path: `${origin.originPath ?? ""}${uri}`, query, headers, body: viewer.body },
    };
  };
}

interface Origin {
  readonly originId: string;
  readonly domainName: string;
  readonly originPath?: string;
}

interface Behaviour {
  readonly pathPattern?: string;
  readonly targetOriginId: string;
  readonly allowedMethods: readonly string[];
}

const refused: OriginAnswer = {
  status: 403,
  headers: { "content-type": "text/html" },
  body: Buffer.from("<H1>403 ERROR</H1>"),
};

/**
 * Normalizes a path for patterns, as RFC 3986 does: unescapes unreserved characters and removes dot segments
 * (CloudFront Developer Guide, "Path normalization").
 */
function normalized(path: string): string {
  const decoded = path.replaceAll(/%[0-9a-f]{2}/gi, (escaped) => {
    const character = String.fromCharCode(Number.parseInt(escaped.slice(1), 16));
    return /[\w.~-]/.test(character) ? character : escaped;
  });
  // For an unknown scheme, URL removes only dot segments.
  return new URL(`edge://edge${decoded}`).pathname;
}

/** Matches `*` with any characters and `?` with one (CloudFront Developer Guide, "Path pattern"). */
function matches(pattern: string | undefined, path: string): boolean {
  if (pattern === undefined) return true;
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("?", "."));
  return new RegExp(`^${parts.join(".*")}$`).test(path);
}

/**
 * Runs the edge function without Node's globals, which CloudFront lacks. Drops hop-by-hop headers. Returns the request
 * to the origin, or the function's own answer.
 */
function runFunction(
  code: string,
  { method, headers, target }: ViewerRequest,
  uri: string,
): OriginAnswer | { readonly uri: string; readonly headers: Readonly<Record<string, string>> } {
  const [, query = ""] = splitAt(target, "?");
  const sent = Object.entries(headers).filter(([name]) => !ofTheConnection.includes(name));
  const event = {
    version: "1.0",
    context: { eventType: "viewer-request" },
    viewer: { ip: "198.51.100.11" },
    request: {
      method,
      uri,
      cookies: {},
      querystring: Object.fromEntries([...new URLSearchParams(query)].map(([name, value]) => [name, { value }])),
      headers: Object.fromEntries(sent.map(([name, value]) => [name, { value }])),
    },
  };
  const made = runInNewContext(`${code}\nhandler(event)`, { event }) as typeof event.request | FunctionAnswer;
  if ("statusCode" in made) {
    return { status: made.statusCode, headers: plainHeaders(made.headers), body: Buffer.from(made.body?.data ?? "") };
  }
  // The origin request policy passes all headers except Host.
  const { host: _, ...passed } = made.headers;
  return { uri: made.uri, headers: plainHeaders(passed) };
}

type EdgeHeaders = Readonly<Record<string, { readonly value: string }>>;

/** CloudFront Developer Guide, "CloudFront Functions event structure", response object. */
interface FunctionAnswer {
  readonly statusCode: number;
  readonly headers: EdgeHeaders;
  readonly body?: { readonly encoding: "text"; readonly data: string };
}

function plainHeaders(headers: EdgeHeaders): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, { value }]) => [name, value]));
}

const ofTheConnection = ["connection", "keep-alive", "transfer-encoding", "upgrade", "expect"];

function splitAt(text: string, mark: string): [string, string?] {
  const at = text.indexOf(mark);
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function only(resources: readonly Resource[], type: string): Resource {
  const [entry, ...others] = resources.filter((resource) => resource.type === type && !resource.read);
  if (!entry || others.length > 0) throw new Error(`The stage does not have exactly one ${type}`);
  return entry;
}
