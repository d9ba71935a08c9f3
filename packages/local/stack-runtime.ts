import { guardedFetch } from "#aws/fetch.ts";
import { httpGithubKeys } from "#aws/github-keys.ts";
import { systemIds } from "#aws/ids.ts";
import { keyFileSealer } from "#aws/kms/key-file-sealer.ts";
import { directoryBlobs } from "#aws/s3/directory-blobs.ts";
import { stsIdentity } from "#aws/sts/identity.ts";
import type { Actor, Context } from "#core/context.ts";
import type { Clock } from "#core/ports/clock.ts";
import { findUser } from "#core/users/record.ts";
import { findOrCreateUser } from "#core/users/register.ts";
import { parseAssumedRole } from "#core/users/username.ts";
import { issueLoginCode } from "#core/users/web-sessions.ts";
import { HttpError } from "#http/answers/http-error.ts";
import { keyMemory } from "#http/keys/key-check.ts";
import type { Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import type { Environments } from "./environments.ts";
import type { Stores } from "./home/stores.ts";
import { type LocalIdentity, localAccount } from "./identity/identities.ts";
import type { StackStart } from "./stack-start.ts";

interface RuntimeParts extends Pick<StackStart, "settings" | "log" | "config"> {
  readonly clock: Clock;
  readonly stores: Stores;
  readonly keyFile: string;
  readonly stsUrl: string;
  readonly blobs: string;
  readonly environments: Environments;
}

/** The region of the global STS in AWS clients. The local STS accepts any. */
const REGION = "us-east-1";

export function stackRuntime(parts: RuntimeParts) {
  const { clock, stores, stsUrl, settings, log, config, blobs, environments, keyFile } = parts;
  const { compute, volumes, isolation, limits, liveLogs, sshPort } = environments;
  const { table, queue, whyNothingIsStored } = stores;
  const identity = stsIdentity({ endpoint: stsUrl, region: REGION });
  const allowedAccounts = settings.allowedAccounts.length > 0 ? settings.allowedAccounts : [localAccount];
  return {
    ports: {
      table,
      queue,
      compute,
      // NODE_GROUPS names the groups of a cluster.
      machineGroups: { list: async () => undefined },
      volumes,
      identity,
      blobs: directoryBlobs(blobs),
      sealer: keyFileSealer(keyFile),
      githubKeys: httpGithubKeys(config.GITHUB_KEYS_URL),
      fetch: guardedFetch({ allow: config.webhookAllow }),
    },
    clock,
    keys: keyMemory(),
    ids: systemIds(),
    log,
    settings: { ...settings, allowedAccounts, stsOrigins: [stsUrl] },
    deployment: {
      version,
      startedAt: clock.now(),
      whyNothingIsStored,
      liveLogs,
      streams: true,
      isolation,
      limits,
      region: REGION,
      ...(sshPort !== undefined && { ssh: { host: "127.0.0.1", port: sshPort } }),
    },
  } satisfies Runtime;
}

/**
 * Returns the actor for requests without a key when BERTH_OPEN is set, and registers its user as a login does. The
 * returned function throws if that user is disabled at the time of the request.
 */
export async function localUser(ctx: Context<"table">, identity: LocalIdentity): Promise<() => Promise<Actor>> {
  const role = parseAssumedRole(identity);
  if (!role) throw new Error(`${identity.arn} is not an assumed role`);
  const { uid, username, number } = await findOrCreateUser(ctx, role);
  return async () => {
    if ((await findUser(ctx, uid))?.disabled !== false) throw new HttpError("disabledUser");
    return { uid, username, number, keyPrefix: "", keyHash: "", isAdmin: false };
  };
}

/** Returns a link that logs a browser in as the local user, once and within a minute. */
export async function loginLink(ctx: Context<"table">, identity: LocalIdentity, consoleUrl: string): Promise<string> {
  const role = parseAssumedRole(identity);
  if (!role) throw new Error(`${identity.arn} is not an assumed role`);
  const { code } = await issueLoginCode(ctx, await findOrCreateUser(ctx, role), role.role);
  return `${consoleUrl}login#code=${code}`;
}

/**
 * Removes every AWS_* variable and hides the user's AWS files, so that no SDK client can reach a real account by
 * accident.
 */
export function dropAwsEnvironment(environment: NodeJS.ProcessEnv = process.env): void {
  for (const name of Object.keys(environment)) {
    if (name.startsWith("AWS_")) delete environment[name];
  }
  environment.AWS_CONFIG_FILE = "/dev/null";
  environment.AWS_SHARED_CREDENTIALS_FILE = "/dev/null";
}
