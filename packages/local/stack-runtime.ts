import { guardedFetch } from "#aws/fetch.ts";
import { httpGithubKeys } from "#aws/github-keys.ts";
import { systemIds } from "#aws/ids.ts";
import { keyFileSealer } from "#aws/kms/key-file-sealer.ts";
import { directoryBlobs } from "#aws/s3/directory-blobs.ts";
import { stsIdentity } from "#aws/sts/identity.ts";
import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import { keyMemory } from "#http/keys/key-check.ts";
import type { Runtime } from "#http/runtime.ts";
import { version } from "#http/version.ts";
import type { Environments } from "./environments.ts";
import type { Stores } from "./home/stores.ts";
import { localAccount } from "./identity/identities.ts";
import type { StackStart } from "./stack-start.ts";

interface RuntimeParts {
  readonly clock: Clock;
  readonly stores: Stores;
  readonly stsUrl: string;
  readonly settings: ServedSettings;
  readonly log: Log;
  readonly config: StackStart["config"];
  readonly blobs: string;
  readonly environments: Environments;
  readonly keyFile: string;
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
