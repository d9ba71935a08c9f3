import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { clientOptions } from "../../packages/aws/client-options.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface AwsClient {
  readonly config: { credentials(): Promise<unknown>; region(): Promise<string> };
  destroy(): void;
}

export type ClientOptions = ReturnType<typeof clientOptions> & { readonly region?: string; readonly profile?: string };

/** Opens a client with the deployer's AWS credentials. Returns the reason as text if that is not possible. */
export async function findClient<Client extends AwsClient>(
  { AWS_REGION, AWS_PROFILE }: Environment,
  open: (options: ClientOptions) => Client,
): Promise<Client | string> {
  const place = { ...(AWS_REGION && { region: AWS_REGION }), ...(AWS_PROFILE && { profile: AWS_PROFILE }) };
  const client = open({ ...clientOptions(undefined), ...place });
  try {
    await client.config.credentials();
  } catch {
    return "there are no AWS credentials";
  }
  try {
    await client.config.region();
  } catch {
    return "no AWS_REGION is set";
  }
  return client;
}

/**
 * Returns a client as `findClient` does, but only with credentials of DEPLOY_ACCOUNT, if that is set. Another account has
 * other quotas, and its zones have other names.
 */
export async function findClientOfAccount<Client extends AwsClient>(
  environment: Environment,
  open: (options: ClientOptions) => Client,
): Promise<Client | string> {
  const { DEPLOY_ACCOUNT } = environment;
  const problem = DEPLOY_ACCOUNT ? await describeOtherAccount(environment, DEPLOY_ACCOUNT) : undefined;
  return problem ?? findClient(environment, open);
}

async function describeOtherAccount(environment: Environment, wanted: string): Promise<string | undefined> {
  const sts = await findClient(environment, (options) => new STSClient(options));
  if (typeof sts === "string") return sts;
  try {
    const { Account } = await sts.send(new GetCallerIdentityCommand({}));
    if (Account === wanted) return undefined;
    return `the AWS credentials are of account ${Account}, and the stage is deployed to ${wanted}`;
  } catch (error) {
    return `STS gave no answer (${error instanceof Error ? error.name : error})`;
  } finally {
    sts.destroy();
  }
}
