import { DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import type { Clock } from "#core/ports/clock.ts";
import type { AwsCredentials } from "#core/ports/identity.ts";
import { clientOptions, type ServiceAddress, type ServicePatience } from "./client-options.ts";
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
  readonly client: EKSClient;
  readonly cluster: string;
  /** As configured; where either is missing the cluster is described, once. */
  readonly endpoint?: string | undefined;
  readonly ca?: string | undefined;
  readonly clock: Pick<Clock, "now">;
}

/** An EKS client with our time limits; without an address it is the environment's. */
export function eksClient(address?: ServiceAddress, patience?: ServicePatience): EKSClient {
  return new EKSClient(clientOptions(address, patience));
}

/**
 * Access to the API server of an EKS cluster by the identity of this process. Throws, in words, for a cluster that has
 * no endpoint yet.
 */
export async function eksAccess({ client, cluster, endpoint, ca, clock }: EksAccessOptions): Promise<EksAccess> {
  const found = endpoint && ca ? { url: endpoint, ca } : await describe(client, cluster);
  return { url: endpoint ?? found.url, ca: ca ?? found.ca, token: eksTokens(client, cluster, clock) };
}

async function describe(client: EKSClient, cluster: string): Promise<Pick<EksAccess, "url" | "ca">> {
  const { cluster: found } = await client.send(new DescribeClusterCommand({ name: cluster }));
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

/** Makes a token no longer good than the credentials it is signed with, one at a time, and another where one was refused. */
function eksTokens(client: EKSClient, cluster: string, clock: Pick<Clock, "now">): EksAccess["token"] {
  let kept: Kept | undefined;
  let making: Promise<string> | undefined;
  return (refused) => {
    if (kept && kept.token !== refused && clock.now() < kept.endsAt - SPARE_MS) return Promise.resolve(kept.token);
    making ??= makeToken(client, cluster, clock.now(), refused !== undefined)
      .then((made) => {
        kept = made;
        return made.token;
      })
      .finally(() => {
        making = undefined;
      });
    return making;
  };
}

async function makeToken(client: EKSClient, cluster: string, now: number, isRefused: boolean): Promise<Kept> {
  const [region, found] = await Promise.all([
    client.config.region(),
    // What a role was given last may have been taken back: a refused token is signed with what is good now.
    client.config.credentials({ forceRefresh: isRefused }),
  ]);
  const { accessKeyId, secretAccessKey, sessionToken, expiration } = found;
  const credentials: AwsCredentials = { accessKeyId, secretAccessKey, sessionToken };
  const token = await makeEksToken(cluster, { region, credentials, signingDate: new Date(now) });
  return { token, endsAt: Math.min(now + GOOD_MS, expiration?.getTime() ?? Number.POSITIVE_INFINITY) };
}
