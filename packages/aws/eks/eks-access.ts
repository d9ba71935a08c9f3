import type { Clock } from "#core/ports/clock.ts";
import { type AwsService, callService } from "../service-call.ts";
import { readConfig } from "../settings/config.ts";
import { environmentCredentials } from "../sts/environment-credentials.ts";
import { makeEksToken } from "./eks-token.ts";

/** How the API server of a cluster is reached, and as whom: what the driver of clusters asks for. */
export interface EksAccess {
  readonly url: string;
  /** The certificate of its authority, PEM. */
  readonly ca: string;
  /** Asked before each call, and once more with a token that was just refused. */
  token(refused?: string): Promise<string>;
}

export interface EksAccessOptions {
  /** EKS in the cluster's region, and as whom it is asked. */
  readonly eks: AwsService;
  readonly cluster: string;
  /** As configured; where either is missing the cluster is described, once. */
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
  readonly clock: Pick<Clock, "now">;
}

/** EKS as the environment names it. */
export function eksService(): AwsService {
  const { AWS_REGION: region, AWS_ENDPOINT_URL_EKS } = readConfig(["AWS_REGION", "AWS_ENDPOINT_URL_EKS"]);
  const url = AWS_ENDPOINT_URL_EKS ?? `https://eks.${region}.amazonaws.com`;
  return { name: "eks", region, url, credentials: environmentCredentials };
}

/**
 * Access to the API server of an EKS cluster by the identity of this process. Throws, in words, for a cluster that has
 * no endpoint yet.
 */
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

/** How long a cluster takes a token for, less one minute, as `aws eks get-token` says (its TOKEN_EXPIRATION_MINS). */
const GOOD_MS = 14 * 60_000;
/** A token is made anew so long before it ends. */
const SPARE_MS = 60_000;

interface Kept {
  readonly token: string;
  readonly endsAt: number;
}

/**
 * Makes one token at a time, and another where one was refused: what it is signed with may have ended, or been taken back,
 * and is read anew each time.
 */
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
