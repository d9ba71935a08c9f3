import { setTimeout as sleep } from "node:timers/promises";
import type { AwsCredentials } from "#core/ports/identity.ts";
import type { Log } from "#core/ports/log.ts";
import { jsonLog } from "./log.ts";
import { AwsServiceError, isWorthRepeating, toServiceError } from "./service-error.ts";
import { createSigner } from "./signer.ts";

/** Service of AWS without its SDK client, which would add 27 kB (KMS), 29 kB (EKS) or 168 kB (S3) to a bundle. */
export interface AwsService {
  /** `kms`, `s3`. */
  readonly name: string;
  readonly region: string;
  /** Scheme, host and common prefix of all paths. */
  readonly url: string;
  /** Called for each attempt, since credentials are renewed. */
  readonly credentials: () => AwsCredentials;
  readonly log?: Log;
  readonly patience?: CallPatience;
}

/** ms. */
export interface CallPatience {
  readonly tryMs: number;
  readonly togetherMs: number;
}

export interface ServiceCall {
  /** Name for messages: `Decrypt`. */
  readonly name: string;
  readonly method: "GET" | "PUT" | "POST" | "DELETE";
  /** Path below the service's URL, with its leading slash and nothing to escape. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array<ArrayBuffer> | string;
}

const maxTries = 3;
// A small Lambda (0.29 vCPU at 512 MB) needs more than a second for its first TLS connection.
const usualPatience: CallPatience = { tryMs: 3_000, togetherMs: 5_000 };
const pauseMs = { throttled: 400, other: 50 };

/**
 * Returns the body of a signed call's answer, with at most three attempts in 5 s. Throws `AwsServiceError` if the
 * service refuses, else an error whose cause says why there was no answer.
 */
export async function callService(service: AwsService, call: ServiceCall): Promise<Uint8Array> {
  const { tryMs, togetherMs } = service.patience ?? usualPatience;
  const end = performance.now() + togetherMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      // AbortSignal.timeout requires an integer.
      return await tryCall(service, call, Math.max(1, Math.floor(Math.min(tryMs, end - performance.now()))));
    } catch (error) {
      const isThrottled = error instanceof AwsServiceError && error.$retryable?.throttling === true;
      const base = isThrottled ? pauseMs.throttled : pauseMs.other;
      // Jitter spreads the retries of refused callers.
      const waitsMs = Math.round(base * 2 ** attempt * (0.5 + Math.random() / 2));
      const isLast = attempt === maxTries || performance.now() + waitsMs >= end;
      if (isLast || !isWorthRepeating(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      (service.log ?? jsonLog()).warn("AWS call repeated", { why, attempt, waitsMs });
      await sleep(waitsMs);
    }
  }
}

/** Returns a signed URL of this call, valid without credentials for these seconds or until the credentials end. */
export async function presignCall(
  service: AwsService,
  { method, path, query = {}, headers = {} }: ServiceCall,
  { seconds, signingDate = new Date() }: { readonly seconds: number; readonly signingDate?: Date },
): Promise<string> {
  const url = new URL(`${service.url}${path}`);
  const unsigned = { [payloadHash]: "UNSIGNED-PAYLOAD" };
  const { host, hostname, protocol } = url;
  const request = { method, protocol, hostname, path: url.pathname, query: { ...query } };
  const signed = await createSigner(service.name, service.region, service.credentials()).presign(
    { ...request, headers: { ...headers, ...unsigned, host } },
    // The hash is part of the signature and not of the URL, as in S3's examples.
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
  const signer = createSigner(service.name, service.region, service.credentials());
  const signed = await signer.sign({ ...request, headers: { ...headers, host }, body });
  const search = queryText(query);
  const sent = { method, headers: withoutHost(signed.headers), redirect: "manual" as const };
  const signal = AbortSignal.timeout(withinMs);
  try {
    const response = await fetch(`${url}${search && `?${search}`}`, { ...sent, signal, body: body ?? null });
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

/** Removes the host, which fetch sets itself. */
function withoutHost({ host: _, ...headers }: Record<string, string>): Record<string, string> {
  return headers;
}

/** Encodes a query as it was signed. URLSearchParams would write a space as `+`. */
function queryText(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .join("&");
}

/** Encodes all but letters, digits and `-._~` (RFC 3986). `encodeURIComponent` keeps more. */
export function percentEncode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
