/** What makes machines of one type when somebody waits for them: an autoscaled group. */
export interface NodeGroup {
  /** The pool that its machines belong to. */
  readonly pool: string;
  /** Machines that it may have in all. */
  readonly mostNodes: number;
  /** How long a machine takes to be ready, from the moment somebody waits for it. */
  readonly startupMs: number;
  /** The zones that it makes machines in; an empty list: any zone. */
  readonly zones: readonly string[];
}

/**
 * Numbers and lists a deployment sets; parsed once, in packages/aws/settings/settings.ts. The core carries no setting of a dialect:
 * those are in packages/http/dialects/settings.ts.
 */
export interface Settings {
  readonly allowedRoles: readonly string[];
  readonly allowedAccounts: readonly string[];
  readonly keyTtlHours: number;
  /** How long after the AWS login a key can still be rotated, and how far the last one of the chain reaches. */
  readonly keyChainHours: number;
  /** How much longer a key works that was rotated. */
  readonly keyOverlapSeconds: number;
  readonly loginServerId: string;
  readonly stsOrigins: readonly string[];
  readonly minDurationHours: number;
  readonly maxDurationHours: number;
  readonly maxTotalHours: number;
  readonly maxQueueHours: number;
  /** How many environments of one owner may wait in one pool; 0: any number. */
  readonly maxWaitingPerUser: number;
  readonly preparingMinutes: number;
  /** Those that can make machines; a pool without one has what the cluster lists. */
  readonly nodeGroups: readonly NodeGroup[];
  readonly sweepSeconds: number;
  /** How long a deleted disk can still be undeleted. */
  readonly diskRetentionDays: number;
  /** Users who are operators, by name. */
  readonly adminUsers: readonly string[];
  /** AWS roles that may log in and whose keys are those of an operator. */
  readonly adminRoles: readonly string[];
  /** The domain below which environments are served: `preview.localhost:8080`. */
  readonly domain: string;
  /** `http` on a laptop. */
  readonly scheme: "http" | "https";
  /** Signs webhooks; undefined: they are not signed. */
  readonly webhookSecret: string | undefined;
  /** The path of an environment's first HTTP port at which its program takes messages. */
  readonly messagePath: string;
  /** How long an exec call may wait and run, seconds. */
  readonly execCapSeconds: number;
  /** What leaves its GPUs idle for so long is ended; undefined: nothing is. */
  readonly idleGpuMinutes: number | undefined;
  /** An idle environment is told so and not stopped. */
  readonly idleDryRun: boolean;
  /**
   * A run whose record is missing or over is reported and not removed, and no purge of a disk begins: after records were
   * restored from a backup.
   */
  readonly orphansDryRun: boolean;
  /** A local stack serves the dialects without a slot for a key to its own machine without one. */
  readonly open: boolean;
}
