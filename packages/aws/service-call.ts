import { setTimeout as sleep } from "node:timers/promises";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsCredentials } from "#core/ports/identity.ts";
import type { Log } from "#core/ports/log.ts";
import { jsonLog } from "./log.ts";
import { NodeSha256 } from "./node-sha256.ts";
import { AwsServiceError, isWorthRepeating, toServiceError } from "./service-error.ts";

/**
 * A service of AWS that is called without its SDK client: on a request path that of KMS would add 27 kB to a bundle, that
 * of EKS 29 kB and that of S3 168 kB, of which 450 kB are allowed.
 */
export interface AwsService {
  /** As signatures name it: `kms`, `s3`. */
  readonly name: string;
  readonly region: string;
  /** Scheme and host, with what comes before every path. */
  readonly url: string;
  /** Asked before each try: they may have been renewed meanwhile. */
  readonly credentials: () => AwsCredentials;
  /** Where a call that is sent again is written down, with the reason. */
  readonly log?: Log;
  readonly patience?: CallPatience;
}

/** How long one try may take, and all of them together, ms. */
export interface CallPatience {
  readonly tryMs: number;
  readonly togetherMs: number;
}

export interface ServiceCall {
  /** For people: `Decrypt`. */
  readonly name: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Below the service's URL, with its first slash; nothing in it needs to be escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
}

const maxTries = 3;
// A small Lambda (0.29 vCPU at 512 MB) needs more than a second for a first TLS connection.
const usualPatience: CallPatience = { tryMs: 3_000, togetherMs: 5_000 };
const pauseMs = { throttled: 400, other: 50 };

/**
 * The body of the answer of a signed call. What is busy or failed by itself is asked up to three times, 5 s together.
 * Throws `AwsServiceError` where the service refuses, else an error whose cause says why nothing answered.
 */
export async function callService(service: AwsService, call: ServiceCall): Promise<Uint8Array> {
  const { tryMs, togetherMs } = service.patience ?? usualPatience;
  const end = performance.now() + togetherMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      // A whole number, as AbortSignal.timeout asks for.
      return await tryCall(service, call, Math.max(1, Math.floor(Math.min(tryMs, end - performance.now()))));
    } catch (error) {
      const isThrottled = error instanceof AwsServiceError && error.$retryable?.throttling === true;
      const base = isThrottled ? pauseMs.throttled : pauseMs.other;
      // Not at the same moment as all others that were refused.
      const waitsMs = Math.round(base * 2 ** attempt * (0.5 + Math.random() / 2));
      const isLast = attempt === maxTries || performance.now() + waitsMs >= end;
      if (isLast || !isWorthRepeating(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      (service.log ?? jsonLog()).warn("AWS call repeated", { why, attempt, waitsMs });
      await sleep(waitsMs);
    }
  }
}

/** An address of this call that anybody may use for so many seconds, at most until the credentials end. */
export async function presignCall(
  service: AwsService,
  { method, path, query = {}, headers = {} }: ServiceCall,
  { seconds, signingDate = new Date() }: { readonly seconds: number; readonly signingDate?: Date },
): Promise<string> {
  const url = new URL(`${service.url}${path}`);
  const unsigned = { [payloadHash]: "UNSIGNED-PAYLOAD" };
  const { host, hostname, protocol } = url;
  const request = { method, protocol, hostname, path: url.pathname, query: { ...query } };
  const signed = await getSigner(service).presign(
    { ...request, headers: { ...headers, ...unsigned, host } },
    // The hash goes into the signature and not into the address, as S3's own examples have it.
    {
      expiresIn: seconds,
      signingDate,
      unhoistableHeaders: new Set([payloadHash]),
      unsignableHeaders: new Set([payloadHash]),
    },
  );
  return `${url.origin}${url.pathname}?${queryText(signed.query as Record<string, string>)}`;
}

const payloadHash = "x-amz-content-sha256";

async function tryCall(
  service: AwsService,
  { name, method, path, query = {}, headers = {}, body }: ServiceCall,
  withinMs: number,
): Promise<Uint8Array> {
  const url = new URL(`${service.url}${path}`);
  const call = `${service.name.toUpperCase()} ${name}`;
  const { host, hostname, protocol } = url;
  const request = { method, protocol, hostname, path: url.pathname, query: { ...query } };
  const signed = await getSigner(service).sign({ ...request, headers: { ...headers, host }, body });
  const search = queryText(query);
  const sent = { method, headers: withoutHost(signed.headers), redirect: "manual" as const };
  const signal = AbortSignal.timeout(withinMs);
  try {
    const response = await fetch(`${url}${search && `?${search}`}`, {
      ...sent,
      signal,
      body: body ?? null,
    });
    const bytes = new Uint8Array(await response.arrayBuffer());
    const type = response.headers.get("x-amzn-errortype");
    if (!response.ok) throw toServiceError(call, { status: response.status, body: bytes, type });
    return bytes;
  } catch (error) {
    if (error instanceof AwsServiceError) throw error;
    const why = signal.aborted ? "no answer in time" : "no answer";
    throw new Error(`${call}: ${why}`, { cause: error });
  }
}

function getSigner({ name, region, credentials }: AwsService): SignatureV4 {
  const { sessionToken, ...keys } = credentials();
  const signingKeys = sessionToken === undefined ? keys : { ...keys, sessionToken };
  // S3 signs a path as it is sent, every other service escapes it once more.
  return new SignatureV4({
    service: name,
    region,
    credentials: signingKeys,
    sha256: NodeSha256,
    uriEscapePath: name !== "s3",
  });
}

/** fetch says itself which host it asks. */
function withoutHost({ host: _, ...headers }: Record<string, string>): Record<string, string> {
  return headers;
}

/** Escaped as it was signed (RFC 3986): URLSearchParams would write a space as `+`. */
function queryText(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${escaped(name)}=${escaped(value)}`)
    .join("&");
}

function escaped(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
