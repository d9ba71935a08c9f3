import { setTimeout as sleep } from "node:timers/promises";
import type { AwsCredentials } from "#core/ports/identity.ts";
import type { Log } from "#core/ports/log.ts";
import { jsonLog } from "./log.ts";
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

/**
 * Refusal by a service of AWS. `name` is its code (`AccessDeniedException`). `$fault` and `$retryable` match the SDK's
 * errors (packages/http/answers/outage.ts).
 */
export class AwsServiceError extends Error {
  readonly status: number;
  readonly $fault: "client" | "server";
  /** Absent if the same call would be refused again. */
  readonly $retryable?: { readonly throttling: boolean };

  constructor(
    call: string,
    { status, code, text }: { readonly status: number; readonly code: string; readonly text: string },
  ) {
    super(`${call}: ${code}${text && `: ${text}`}`);
    this.name = code;
    this.status = status;
    this.$fault = status >= 500 ? "server" : "client";
    const throttling = throttles.test(code) || status === 429;
    if (throttling || expired.test(code) || status >= 500) this.$retryable = { throttling };
  }
}

const throttles = /Throttl|TooManyRequests|SlowDown|RequestLimitExceeded/;
/** Expired credentials of a role. The environment renews them early, and another process may have new ones. */
const expired = /^(?:ExpiredToken|ExpiredTokenException|RequestExpired|TokenRefreshRequired)$/;

/** Reports whether the same call may succeed shortly. An error without an answer comes from the network. */
function isWorthRepeating(error: unknown): boolean {
  return !(error instanceof AwsServiceError) || error.$retryable !== undefined;
}

const mostText = 300;

/** Parses an error in JSON (KMS) or XML (S3). `type` is EKS's header with the code (`x-amzn-errortype`). */
function toServiceError(
  call: string,
  { status, body, type }: { readonly status: number; readonly body: Uint8Array; readonly type: string | null },
): AwsServiceError {
  const source = Buffer.from(body).toString("utf8");
  const fields = source.startsWith("{") ? jsonFields(source) : xmlFields(source);
  // A documentation URL may follow the code (AWS restJson1, "Operation error serialization").
  const named = fields.code || (type ?? "").replace(/:.*$/, "");
  const code = /^[A-Za-z][\w.]{0,99}$/.exec(named)?.[0] ?? `status ${status}`;
  return new AwsServiceError(call, { status, code, text: fields.text.slice(0, mostText) });
}

function jsonFields(source: string): { readonly code: string; readonly text: string } {
  try {
    const { __type = "", message, Message } = JSON.parse(source) as Record<string, unknown>;
    return { code: String(__type).replace(/^.*#/, ""), text: String(message ?? Message ?? "") };
  } catch {
    return { code: "", text: "" };
  }
}

function xmlFields(source: string): { readonly code: string; readonly text: string } {
  const [, code = ""] = /<Code>([^<]*)<\/Code>/.exec(source) ?? [];
  const [, text = ""] = /<Message>([^<]*)<\/Message>/.exec(source) ?? [];
  return { code, text };
}

/** Returns the credentials of the function's role, which Lambda puts in the environment. Throws if there are none. */
export function environmentCredentials(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): AwsCredentials {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = environment;
  if (!accessKeyId || !secretAccessKey) throw new Error("There are no AWS credentials in the environment");
  return { accessKeyId, secretAccessKey, sessionToken: AWS_SESSION_TOKEN || undefined };
}
