/** What one stage is deployed with. */
export interface Stage {
  readonly name: string;
  readonly isProduction: boolean;
  /** Of the table; on the cluster, and on volumes, it is the name of the deployment. */
  readonly tableName: string;
  readonly eksCluster: string;
  /** Where the API is served: API_DOMAIN with API_CERTIFICATE_ARN, in us-east-1. Without it CloudFront gives it a name. */
  readonly domain: { readonly name: string; readonly certificateArn: string } | undefined;
  /** By the names of .env.example: for every function, for those that reach the cluster, the keys of GitHub, receivers. */
  readonly settings: Settings;
  readonly clusterSettings: Settings;
  readonly keysSettings: Settings;
  readonly receiverSettings: Settings;
}

export type Settings = Readonly<Record<string, string>>;

/** What has no default on Lambda (packages/aws/config.ts), or names the cluster. */
const required = ["DOMAIN", "ALLOWED_ACCOUNTS", "ALLOWED_ROLES", "EKS_CLUSTER"];

/** For every function: those of packages/aws/config.ts that verbs read from their context, but for secrets. */
const plain = `
  DOMAIN SCHEME ALLOWED_ACCOUNTS ALLOWED_ROLES ADMIN_USERS ADMIN_ROLES LOGIN_SERVER_ID STS_ORIGINS
  KEY_TTL_HOURS KEY_CHAIN_HOURS KEY_OVERLAP_SECONDS MIN_DURATION_HOURS MAX_DURATION_HOURS MAX_TOTAL_HOURS
  MAX_QUEUE_HOURS MAX_WAITING_PER_USER PREPARING_MINUTES NODE_GROUPS DISK_RETENTION_DAYS SESSION_IMAGE SESSION_BACKUP
  DEV8_REGIONS DEV8_IMAGE EXEC_CAP_SECONDS IDLE_GPU_MINUTES AUTO_STOP_DRY_RUN`
  .trim()
  .split(/\s+/);
const cluster = ["EKS_CLUSTER", "EKS_ENDPOINT", "EKS_CA", "NODE_TYPES", "TOOLS_IMAGE"];

/**
 * Reads a stage from the environment, into which SST has put `.env` and `.env.<stage>`. Throws one message that names
 * everything that is missing.
 */
export function readStage(name: string, environment: Readonly<Record<string, string | undefined>>): Stage {
  const missing = required.filter((each) => !environment[each]).map((each) => `  ${each} must be set`);
  // It is part of the names of all that is made, and of a label on the cluster.
  if (!/^[a-z][a-z0-9-]{0,19}$/.test(name)) missing.push("  the stage must be 1 to 20 of a-z, 0-9 and -");
  const { API_DOMAIN, API_CERTIFICATE_ARN } = environment;
  if (Boolean(API_DOMAIN) !== Boolean(API_CERTIFICATE_ARN)) missing.push("  API_DOMAIN needs API_CERTIFICATE_ARN");
  if (missing.length > 0) throw new Error(`Stage ${name} cannot be deployed:\n${missing.join("\n")}`);
  const pick = (names: readonly string[]) =>
    Object.fromEntries(names.flatMap((each) => (environment[each] ? [[each, environment[each]]] : []))) as Settings;
  return {
    name,
    isProduction: name === "production",
    tableName: `berth-${name}`,
    eksCluster: environment.EKS_CLUSTER ?? "",
    domain: API_DOMAIN && API_CERTIFICATE_ARN ? { name: API_DOMAIN, certificateArn: API_CERTIFICATE_ARN } : undefined,
    settings: { LOGIN_SERVER_ID: `berth-${name}`, ...pick(plain) },
    clusterSettings: pick(cluster),
    keysSettings: pick(["GITHUB_KEYS_URL"]),
    receiverSettings: pick(["WEBHOOK_ALLOW"]),
  };
}
