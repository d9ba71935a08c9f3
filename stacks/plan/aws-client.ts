import { clientOptions } from "../../packages/aws/client-options.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

interface AwsClient {
  readonly config: { credentials(): Promise<unknown>; region(): Promise<string> };
}

type ClientOptions = ReturnType<typeof clientOptions> & { readonly region?: string; readonly profile?: string };

/** Returns a client of AWS with the deployer's credentials, or why there is none. */
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
