import type { AwsCredentials } from "#core/ports/identity.ts";

/** Returns the credentials of the function's role, which Lambda puts in the environment. Throws if there are none. */
export function environmentCredentials(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): AwsCredentials {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN } = environment;
  if (!accessKeyId || !secretAccessKey) throw new Error("There are no AWS credentials in the environment");
  return { accessKeyId, secretAccessKey, sessionToken: AWS_SESSION_TOKEN || undefined };
}
