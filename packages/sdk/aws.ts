import { SignatureV4 } from "@smithy/signature-v4";
import { isLoopback } from "./address.ts";
import { Berth } from "./berth.ts";
import { errorFor } from "./errors.ts";
import type { components } from "./schema.ts";
import type { CallOptions, Fetch } from "./transport.ts";

export type LoggedIn = components["schemas"]["LoggedIn"];

interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface AwsLoginOptions extends CallOptions {
  /** Address of the deployment. */
  readonly url: string;
  /**
   * The deployment's `LOGIN_SERVER_ID`, which the signature covers. The default is the id that the deployment claims,
   * if this is the host of `url` or `url` is on this machine. A fake deployment could claim another one's id, and log
   * in there as you.
   */
  readonly serverId?: string | undefined;
  readonly credentials: AwsCredentials | (() => Promise<AwsCredentials>);
  /** Address of STS, which the deployment has to accept. `/.well-known/berth` names it by default. */
  readonly stsUrl?: string | undefined;
  readonly region?: string | undefined;
  readonly fetch?: Fetch | undefined;
}

const question = "Action=GetCallerIdentity&Version=2011-06-15";

/**
 * Logs in with a signed GetCallerIdentity request. The deployment sends it to STS. No AWS secret leaves this process.
 *
 * @example
 * const { api_key } = await awsLogin({ url, serverId: "berth.example", credentials: fromNodeProviderChain() });
 */
export async function awsLogin({ url, fetch, signal, ...options }: AwsLoginOptions): Promise<LoggedIn> {
  const berth = new Berth({ url, fetch, signal });
  const { login } = await berth.discover();
  const { serverId = trustedServerId(berth.url, login.server_id) } = options;
  const { stsUrl = login.sts_origins[0], region = login.region ?? undefined } = options;
  const body = await signedRequest({ serverId, stsUrl, region, credentials: options.credentials });
  return (await berth.call("POST", login.path, { body })) as LoggedIn;
}

/** Returns the id that a deployment claims. Throws if it may be the id of another deployment. */
function trustedServerId(url: string, claimed: string): string {
  const address = new URL(url);
  if (isLoopback(address) || claimed === address.hostname || claimed === address.host) return claimed;
  throw errorFor(`${url} claims the server id ${JSON.stringify(claimed)}, so nothing is signed for it`, {
    status: 0,
    code: "invalid",
    hint: "Ask the operators for the id, and give it as serverId.",
  });
}

interface SignOptions {
  readonly serverId: string;
  readonly stsUrl: string | undefined;
  readonly region: string | undefined;
  readonly credentials: AwsLoginOptions["credentials"];
}

async function signedRequest({ serverId, stsUrl, region, credentials }: SignOptions): Promise<object> {
  const { href, protocol, hostname, host, port } = new URL(stsUrl ?? "https://sts.us-east-1.amazonaws.com");
  const signer = new SignatureV4({
    service: "sts",
    region: signingRegion(hostname) ?? region ?? "us-east-1",
    credentials,
    sha256: WebSha256,
  });
  const { headers } = await signer.sign({
    method: "POST",
    protocol,
    hostname,
    ...(port !== "" && { port: Number(port) }),
    path: "/",
    query: {},
    headers: {
      "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      host,
      "x-berth-server-id": serverId,
    },
    body: question,
  });
  return {
    iam_request_url: href,
    iam_request_method: "POST",
    iam_request_headers: headers,
    iam_request_body: question,
  };
}

/** The address of a regional STS names the region that its signatures are for. */
function signingRegion(hostname: string): string | undefined {
  return /^sts\.([a-z0-9-]+)\.amazonaws\.com/.exec(hostname)?.[1];
}

/** SHA-256, and HMAC with a secret, by WebCrypto, which Node and browsers share. */
class WebSha256 {
  readonly #secret: Uint8Array<ArrayBuffer> | undefined;
  #data = new Uint8Array();

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret === undefined ? undefined : getBytes(secret);
  }

  update(part: Uint8Array): void {
    const joined = new Uint8Array(this.#data.length + part.length);
    joined.set(this.#data);
    joined.set(part, this.#data.length);
    this.#data = joined;
  }

  async digest(): Promise<Uint8Array> {
    const { subtle } = globalThis.crypto;
    if (this.#secret === undefined) return new Uint8Array(await subtle.digest("SHA-256", this.#data));
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await subtle.importKey("raw", this.#secret, algorithm, false, ["sign"]);
    return new Uint8Array(await subtle.sign("HMAC", key, this.#data));
  }

  reset(): void {
    this.#data = new Uint8Array();
  }
}

function getBytes(source: string | ArrayBuffer | ArrayBufferView): Uint8Array<ArrayBuffer> {
  if (typeof source === "string") return new TextEncoder().encode(source);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
}
