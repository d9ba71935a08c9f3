import type { Clock } from "#core/ports/clock.ts";
import type { AwsCredentials } from "#core/ports/identity.ts";
import { type AwsService, callService, environmentCredentials, percentEncode } from "../service-call.ts";
import { readConfig } from "../settings/config.ts";
import { createSigner } from "../signer.ts";

export interface EksAccess {
  readonly url: string;
  readonly ca: string;
  /** Returns the token for a call. `refused` is a token that the server just rejected. */
  token(refused?: string): Promise<string>;
}

export interface EksAccessOptions {
  /** EKS in the cluster's region, with credentials. */
  readonly eks: AwsService;
  readonly cluster: string;
  /** Configured address. If either is missing, the cluster is described once. */
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
  readonly clock: Pick<Clock, "now">;
}

export function eksService(): AwsService {
  const { AWS_REGION: region, AWS_ENDPOINT_URL_EKS } = readConfig(["AWS_REGION", "AWS_ENDPOINT_URL_EKS"]);
  const url = AWS_ENDPOINT_URL_EKS ?? `https://eks.${region}.amazonaws.com`;
  return { name: "eks", region, url, credentials: environmentCredentials };
}

/** Returns access to an EKS cluster for this process's identity. Throws if the cluster has no endpoint yet. */
export async function eksAccess({ eks, cluster, endpoint, ca, clock }: EksAccessOptions): Promise<EksAccess> {
  const found = endpoint && ca ? { url: endpoint, ca } : await describe(eks, cluster);
  return { url: endpoint ?? found.url, ca: ca ?? found.ca, token: eksTokens(eks, cluster, clock) };
}

interface Description {
  readonly cluster?: {
    readonly status?: string;
    readonly endpoint?: string;
    readonly certificateAuthority?: { readonly data?: string };
  };
}

async function describe(eks: AwsService, cluster: string): Promise<Pick<EksAccess, "url" | "ca">> {
  const answer = await callService(eks, { name: "DescribeCluster", method: "GET", path: `/clusters/${cluster}` });
  const { cluster: found } = JSON.parse(Buffer.from(answer).toString("utf8")) as Description;
  const [url, data] = [found?.endpoint, found?.certificateAuthority?.data];
  if (url && data) return { url, ca: Buffer.from(data, "base64").toString() };
  throw new Error(`The EKS cluster ${cluster} has no endpoint: it is ${found?.status ?? "not known"}`);
}

/** Lifetime of a token, less one minute, as in `aws eks get-token` (TOKEN_EXPIRATION_MINS). */
const GOOD_MS = 14 * 60_000;
/** Time before a token's end at which a new one is made. */
const SPARE_MS = 60_000;

interface Kept {
  readonly token: string;
  readonly endsAt: number;
}

/** Returns a token source. A refused token is replaced, with fresh credentials. */
function eksTokens(
  { region, credentials }: AwsService,
  cluster: string,
  clock: Pick<Clock, "now">,
): EksAccess["token"] {
  let kept: Kept | undefined;
  let making: Promise<string> | undefined;
  return (refused) => {
    const now = clock.now();
    if (kept && kept.token !== refused && now < kept.endsAt - SPARE_MS) return Promise.resolve(kept.token);
    making ??= makeEksToken(cluster, { region, credentials: credentials(), signingDate: new Date(now) })
      .then((token) => {
        kept = { token, endsAt: now + GOOD_MS };
        return token;
      })
      .finally(() => {
        making = undefined;
      });
    return making;
  };
}

interface EksTokenOptions {
  readonly region: string;
  readonly credentials: AwsCredentials;
  readonly signingDate: Date;
}

/** Lifetime of the signature. The cluster accepts the token for longer (`GOOD_MS`). */
const SIGNED_SECONDS = 60;

/** Creates the token of an AWS identity for an EKS cluster, byte for byte as `aws eks get-token`. */
export async function makeEksToken(
  cluster: string,
  { region, credentials, signingDate }: EksTokenOptions,
): Promise<string> {
  const signer = createSigner("sts", region, credentials);
  const host = `sts.${region}.amazonaws.com${region.startsWith("cn-") ? ".cn" : ""}`;
  const request = {
    method: "GET",
    protocol: "https:",
    hostname: host,
    path: "/",
    query: { Action: "GetCallerIdentity", Version: "2011-06-15" },
    headers: { host, "x-k8s-aws-id": cluster },
  };
  const { query = {} } = await signer.presign(request, { signingDate, expiresIn: SIGNED_SECONDS });
  const named = order.flatMap((name) =>
    query[name] === undefined ? [] : [`${name}=${percentEncode(String(query[name]))}`],
  );
  return `k8s-aws-v1.${Buffer.from(`https://${host}/?${named.join("&")}`).toString("base64url")}`;
}

/** Order of the AWS CLI. The signature does not depend on it. */
const order = [
  "Action",
  "Version",
  "X-Amz-Algorithm",
  "X-Amz-Credential",
  "X-Amz-Date",
  "X-Amz-Expires",
  "X-Amz-SignedHeaders",
  "X-Amz-Security-Token",
  "X-Amz-Signature",
];
