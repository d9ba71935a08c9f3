export interface NodeGroup {
  readonly pool: string;
  readonly mostNodes: number;
  /** The time from the first job that waits for a machine until it is ready. */
  readonly startupMs: number;
  /** The zones in which it creates machines. An empty list means any zone. */
  readonly zones: readonly string[];
}

/**
 * The settings of a deployment, parsed in packages/aws/settings/settings.ts. Settings of a dialect are in
 * packages/http/dialects/settings.ts.
 */
export interface Settings {
  readonly allowedRoles: readonly string[];
  readonly allowedAccounts: readonly string[];
  readonly keyTtlHours: number;
  /** How long after the AWS login keys can be rotated. The last key of the chain expires by then. */
  readonly keyChainHours: number;
  /** How long a rotated key still works. */
  readonly keyOverlapSeconds: number;
  readonly loginServerId: string;
  readonly stsOrigins: readonly string[];
  readonly minDurationHours: number;
  readonly maxDurationHours: number;
  readonly maxTotalHours: number;
  readonly maxQueueHours: number;
  /** The most environments of one owner that may wait in one pool. 0: unlimited. */
  readonly maxWaitingPerUser: number;
  readonly preparingMinutes: number;
  /** The time from SIGTERM to SIGKILL of a command that is ended. */
  readonly graceSeconds: number;
  /** Groups that can create machines. A pool without a group has only the machines that the cluster lists. */
  readonly nodeGroups: readonly NodeGroup[];
  readonly sweepSeconds: number;
  /** How long a deleted disk can be undeleted. */
  readonly diskRetentionDays: number;
  /** How long a disk is unused until its snapshots alone are kept. 0: its volume is always kept, too. */
  readonly diskVolumeIdleDays: number;
  readonly adminUsers: readonly string[];
  /** AWS roles whose logins get operator keys. */
  readonly adminRoles: readonly string[];
  /** The domain under which environments are served: `preview.localhost:8080`. */
  readonly domain: string;
  /** `http` on a laptop. */
  readonly scheme: "http" | "https";
  /** How users enter environments of a stage on AWS. Undefined elsewhere. */
  readonly userAccess: "gateway" | "nodeport" | "none" | undefined;
  /** SSH address of a gateway outside of this process; undefined without one. */
  readonly sshGateway: { readonly host: string; readonly port: number } | undefined;
  /** Public host keys of that gateway, the present one first, each `<type> <base64>`. Empty if unknown. */
  readonly sshHostKeys: readonly string[];
  /** The key that signs webhooks. If undefined, they are not signed. */
  readonly webhookSecret: string | undefined;
  /** The path at which a program takes messages, on the environment's first HTTP port. */
  readonly messagePath: string;
  /** The longest time that an exec call may wait and run, seconds. */
  readonly execCapSeconds: number;
  /** An environment whose GPUs are idle for this long is ended. If undefined, none is. */
  readonly idleGpuMinutes: number | undefined;
  /** Idle environments are only notified, not stopped. */
  readonly idleDryRun: boolean;
  /**
   * Reports runs without a living record instead of removing them, and purges no disks. Set it for a restored table.
   */
  readonly orphansDryRun: boolean;
  /** Requests from the local machine need no key in dialects that have no place for one. */
  readonly open: boolean;
}
