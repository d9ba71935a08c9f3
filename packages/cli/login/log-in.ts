import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { CliError, exitCodes } from "../failure.ts";
import { findLocalStack, localUser, runningStack } from "../stack/local-stack.ts";
import type { KeySource, Profile } from "../state/profiles.ts";
import { sendCall } from "./client.ts";

/**
 * Exchanges an identity for a key. An AWS identity signs the server id, which the user has trusted before: see
 * `trustedServerId`.
 */
export async function logIn(url: string, source: KeySource, serverId?: string): Promise<Profile> {
  const hint = `Log in with: berth login ${url}`;
  if (source.kind === "given") {
    throw new CliError(`The key for ${url} has expired, and it was given by hand`, exitCodes.loginNeeded, hint);
  }
  if (source.kind === "aws" && serverId === undefined) {
    throw new CliError(`The key for ${url} has expired`, exitCodes.loginNeeded, hint);
  }
  const { awsLogin } = await import("../../sdk/aws.ts");
  const identity = source.kind === "local" ? localIdentity(source.home, source.user) : await awsIdentity(source);
  const { api_key, expires_at, username } = await awsLogin({ url, serverId, fetch: sendCall, ...identity });
  return { key: api_key, expiresAt: expires_at, username, source, serverId };
}

const userHint = "Name one of its LOCAL_USERS, for example: berth login --user developer";

function localIdentity(home: string, name: string) {
  const stack = runningStack(home);
  const user = localUser(home, name);
  if (!stack) {
    throw new CliError(`No local stack runs in ${home}`, exitCodes.unreachable, "Start one with: npm start");
  }
  if (!user) throw new CliError(`The local stack has no user '${name}'`, exitCodes.loginNeeded, userHint);
  const { accessKeyId, secretAccessKey, sessionToken } = user;
  return { stsUrl: stack.stsUrl, credentials: { accessKeyId, secretAccessKey, sessionToken } };
}

async function awsIdentity({ profile = ownAwsProfile() }: { readonly profile?: string | undefined }) {
  const { awsCredentials } = await import("./aws-credentials.ts");
  const { AWS_ENDPOINT_URL_STS: stsUrl } = process.env;
  try {
    return { credentials: await awsCredentials(profile), stsUrl };
  } catch (error) {
    const { message } = error as Error;
    const hint = "Log in to AWS, for example with: aws sso login";
    throw new CliError(`AWS has no credentials for you: ${message}`, exitCodes.loginNeeded, hint);
  }
}

/** A profile `gpu-dev` is taken unless the environment says otherwise, as the predecessor's clients do. */
function ownAwsProfile(): string | undefined {
  const { AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_CONFIG_FILE = join(homedir(), ".aws/config") } = process.env;
  if (AWS_PROFILE || AWS_ACCESS_KEY_ID || !existsSync(AWS_CONFIG_FILE)) return undefined;
  return /^\[profile gpu-dev\]\s*$/m.test(readFileSync(AWS_CONFIG_FILE, "utf8")) ? "gpu-dev" : undefined;
}

/** Returns how to log in to an address: as the local stack's user if it is that stack, else by AWS. */
export function sourceFor(url: string, options: { readonly user?: string; readonly awsProfile?: string }): KeySource {
  const stack = findLocalStack();
  if (stack?.url === url) return { kind: "local", home: stack.home, user: options.user ?? "developer" };
  return { kind: "aws", ...(options.awsProfile !== undefined && { profile: options.awsProfile }) };
}
