import { setTimeout as sleep } from "node:timers/promises";
import type { AwsCredentials, CallerIdentity, Identity, SignedIdentityRequest } from "#core/ports/identity.ts";
import { IdentityRefused } from "#core/problem.ts";
import { readConfig } from "../settings/config.ts";
import { createSigner } from "../signer.ts";

interface StsIdentityOptions {
  /** STS endpoint for a caller's credentials. A signed request goes to its own URL. */
  readonly endpoint: string;
  readonly region: string;
}

export const identity = (): Identity => {
  const { AWS_REGION, AWS_ENDPOINT_URL_STS } = readConfig(["AWS_REGION", "AWS_ENDPOINT_URL_STS"]);
  const endpoint = AWS_ENDPOINT_URL_STS ?? `https://sts.${AWS_REGION}.amazonaws.com`;
  return stsIdentity({ endpoint, region: AWS_REGION });
};

/** Identifies callers through STS. Never stores or logs credentials. */
export function stsIdentity({ endpoint, region }: StsIdentityOptions): Identity {
  return {
    // Signs each attempt again, since a signature is valid for a few minutes only.
    callerOfCredentials: (credentials) => askSts(() => signIdentityRequest(credentials, { endpoint, region })),
    callerOfRequest: (request) => askSts(async () => ({ ...request, headers: forwarded(request.headers) })),
  };
}

const forwardedNames = new Set(["authorization", "x-berth-server-id", "content-type", "accept"]);

/** Returns only the headers that a signed GetCallerIdentity needs (docs/apis/gpu-dev.md#log-in). */
function forwarded(headers: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  return Object.fromEntries(entries.filter(([name]) => forwardedNames.has(name) || name.startsWith("x-amz-")));
}

interface SigningOptions {
  readonly endpoint: string;
  readonly region: string;
  readonly signingDate?: Date;
  /** Headers to sign as well, such as the id of the server that the request is for. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Returns a GetCallerIdentity request signed with SigV4 (AWS Signature Version 4 for API requests). */
export async function signIdentityRequest(
  credentials: AwsCredentials,
  { endpoint, region, signingDate = new Date(), headers = {} }: SigningOptions,
): Promise<SignedIdentityRequest> {
  const url = new URL("/", endpoint);
  const request = {
    method: "POST",
    protocol: url.protocol,
    hostname: url.hostname,
    path: "/",
    headers: { host: url.host, "content-type": "application/x-www-form-urlencoded; charset=utf-8", ...headers },
    body,
  };
  const signed = await createSigner("sts", region, credentials).sign(request, { signingDate });
  return { url: url.href, method: "POST", headers: signed.headers, body };
}

const body = "Action=GetCallerIdentity&Version=2011-06-15";

// docs/apis/gpu-dev.md#log-in: 3 attempts of at most 3 s, 10 s in all, answers of at most 64 KiB.
const maxTries = 3;
const tryMs = 3_000;
const pauseMs = [100, 300];
const maxAnswerBytes = 64 * 1024;

/** Retries until STS answers. Throws `IdentityRefused` if STS refuses, and another error if it cannot be reached. */
async function askSts(makeRequest: () => Promise<SignedIdentityRequest>): Promise<CallerIdentity> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await askOnce(await makeRequest());
    } catch (error) {
      if (error instanceof IdentityRefused || attempt === maxTries) throw error;
      await sleep(pauseMs[attempt - 1]);
    }
  }
}

async function askOnce({ url, method, headers, body }: SignedIdentityRequest): Promise<CallerIdentity> {
  const signal = AbortSignal.timeout(tryMs);
  const sent = body === undefined ? {} : { body };
  const response = await fetch(url, { method, headers, redirect: "manual", signal, ...sent });
  const text = await readText(response);
  if (response.status === 200) return callerIn(text);
  const code = findField(text, "Code");
  if (response.status >= 400 && response.status < 500 && code && !code.startsWith("Throttl")) {
    throw new IdentityRefused(code);
  }
  throw new Error(`STS answered ${response.status}`);
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > maxAnswerBytes) throw new Error("STS answered more than 64 KiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function callerIn(text: string): CallerIdentity {
  const account = findField(text, "Account");
  const arn = findField(text, "Arn");
  if (!account || !arn) throw new Error("STS answered without an identity");
  return { account, arn };
}

/** STS answers in XML, or in JSON to a request that was signed with `accept: application/json`. */
function findField(text: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]{1,2048})</${name}>|"${name}":"([^"\\\\]{1,2048})"`)
    .exec(text)
    ?.slice(1)
    .find(Boolean);
}
