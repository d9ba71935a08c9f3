import type { Settings } from "#core/settings.ts";
import { type Config, type ConfigName, type Environment, givenSettings, readConfig } from "./config.ts";

/** Environment names of the properties in `context.settings`, including those of the dialects. */
export const settingNames = {
  allowedRoles: "ALLOWED_ROLES",
  allowedAccounts: "ALLOWED_ACCOUNTS",
  keyTtlHours: "KEY_TTL_HOURS",
  keyChainHours: "KEY_CHAIN_HOURS",
  keyOverlapSeconds: "KEY_OVERLAP_SECONDS",
  loginServerId: "LOGIN_SERVER_ID",
  stsOrigins: "STS_ORIGINS",
  minDurationHours: "MIN_DURATION_HOURS",
  maxDurationHours: "MAX_DURATION_HOURS",
  maxTotalHours: "MAX_TOTAL_HOURS",
  maxQueueHours: "MAX_QUEUE_HOURS",
  maxWaitingPerUser: "MAX_WAITING_PER_USER",
  preparingMinutes: "PREPARING_MINUTES",
  graceSeconds: "POD_GRACE_SECONDS",
  nodeGroups: "NODE_GROUPS",
  sweepSeconds: "SWEEP_SECONDS",
  diskRetentionDays: "DISK_RETENTION_DAYS",
  diskVolumeIdleDays: "DISK_VOLUME_IDLE_DAYS",
  adminUsers: "ADMIN_USERS",
  adminRoles: "ADMIN_ROLES",
  domain: "DOMAIN",
  scheme: "SCHEME",
  userAccess: "ACCESS",
  sshGateway: "SSH_GATEWAY",
  sshHostKeys: "SSH_HOST_KEYS",
  webhookSecret: "WEBHOOK_SECRET",
  execCapSeconds: "EXEC_CAP_SECONDS",
  idleGpuMinutes: "IDLE_GPU_MINUTES",
  idleDryRun: "AUTO_STOP_DRY_RUN",
  orphansDryRun: "ORPHANS_DRY_RUN",
  open: "BERTH_OPEN",
  sessionImage: "SESSION_IMAGE",
  sessionBackup: "SESSION_BACKUP",
  regions: "DEV8_REGIONS",
  workspaceImage: "DEV8_IMAGE",
  catalogueFile: "NOVITA_CATALOGUE",
} as const satisfies Record<Exclude<keyof Settings, "messagePath">, ConfigName> & Record<string, ConfigName>;

type ReadSettings = {
  readonly [Property in keyof typeof settingNames]: Config[(typeof settingNames)[Property]];
} & Pick<Settings, "messagePath">;

/** Path that a session's image serves (docs/apis/session-manager.md#effects-and-times). */
const MESSAGE_PATH = "/chat";

/**
 * Reads all settings, so that one error names every bad one. On Lambda, settings that a function does not receive throw
 * on access, because a default could differ from the deployment's.
 */
export function readSettings(environment: Environment = process.env): ReadSettings {
  const input = givenSettings(environment);
  const isGiven = (name: ConfigName) => input?.includes(name) ?? true;
  const config = readConfig(Object.values(settingNames).filter(isGiven), environment);
  const settings = { messagePath: MESSAGE_PATH };
  for (const [property, name] of Object.entries(settingNames)) {
    const refused = { get: () => refuse(name) };
    Object.defineProperty(settings, property, isGiven(name) ? { value: config[name], enumerable: true } : refused);
  }
  return settings as ReadSettings;
}

function refuse(name: ConfigName): never {
  throw new Error(`${name} is not passed to this function: run \`npm run generate\` and deploy`);
}
