import type { IncomingMessage } from "node:http";
import { createRequire } from "node:module";
import { Berth, type BerthOptions } from "../../sdk/berth.ts";
import type { Fetch, FetchedAnswer } from "../../sdk/transport.ts";

const { NODE_USE_ENV_PROXY, NODE_OPTIONS = "" } = process.env;

/** Node 24.0 to 24.4 take a proxy from the environment only in `fetch`. */
const usesProxy = Boolean(NODE_USE_ENV_PROXY) || NODE_OPTIONS.includes("--use-env-proxy");

/** Sends calls as `fetch` does. Loading that takes a third of a short command's processor time. */
export const sendCall: Fetch = usesProxy ? (url, init) => fetch(url, init) : fetchByHttp;

/** Returns a client of a deployment. */
export function openClient(options: BerthOptions): Berth {
  return new Berth({ ...options, fetch: options.fetch ?? sendCall });
}

// An import would read every export of node:http, and one of them loads all of fetch.
const load = createRequire(import.meta.url);

/** Reads the whole answer before it returns. Rejects with the errors of `fetch`, which do not name the reason. */
function fetchByHttp(url: URL, { method, headers, body, signal }: Parameters<Fetch>[1]): Promise<FetchedAnswer> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(signal?.aborted ? signal.reason : new TypeError("fetch failed", { cause }));
    const { request } = load(url.protocol === "https:" ? "node:https" : "node:http") as typeof import("node:http");
    const options = { method, headers: { ...headers, "accept-encoding": "identity" }, ...(signal && { signal }) };
    request(url, options)
      .on("error", fail)
      .once("response", (response) => readAnswer(response).then(resolve, fail))
      .end(body ?? undefined);
  });
}

const redirects = [301, 302, 303, 307, 308];

async function readAnswer(response: IncomingMessage): Promise<FetchedAnswer> {
  const { statusCode: status = 0, headers } = response;
  if (redirects.includes(status)) {
    response.destroy();
    throw new Error("unexpected redirect");
  }
  const parts: Uint8Array[] = [];
  for await (const part of response) parts.push(part);
  const text = new TextDecoder().decode(Buffer.concat(parts));
  return {
    ok: status >= 200 && status <= 299,
    status,
    headers: { has: (name) => name in headers, get: (name) => headers[name]?.toString() ?? null },
    text: async () => text,
  };
}
