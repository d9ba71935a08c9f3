import type { Settings } from "#core/settings.ts";
import { type Config, type ConfigName, type Environment, readConfig } from "./config.ts";

/**
 * The numbers and lists that verbs read from their context: those of the core, and those of the dialects
 * (packages/http/dialects/settings.ts). They are read together, so that one message names every bad one.
 */
export function readSettings(environment: Environment = process.env): Settings & DialectSettings {
  const config = readConfig(settingNames, environment);
  return { ...coreSettings(config), ...dialectSettings(config) };
}

type DialectSettings = ReturnType<typeof dialectSettings>;

/** The path that a session's image serves (docs/apis/session-manager.md#effects-and-times). */
const MESSAGE_PATH = "/chat";

function coreSettings(config: KnownConfig): Settings {
  return {
    allowedRoles: config.ALLOWED_ROLES,
    allowedAccounts: config.ALLOWED_ACCOUNTS,
    keyTtlHours: config.KEY_TTL_HOURS,
    keyChainHours: config.KEY_CHAIN_HOURS,
    keyOverlapSeconds: config.KEY_OVERLAP_SECONDS,
    loginServerId: config.LOGIN_SERVER_ID,
    stsOrigins: config.STS_ORIGINS,
    minDurationHours: config.MIN_DURATION_HOURS,
    maxDurationHours: config.MAX_DURATION_HOURS,
    maxTotalHours: config.MAX_TOTAL_HOURS,
    maxQueueHours: config.MAX_QUEUE_HOURS,
    maxWaitingPerUser: config.MAX_WAITING_PER_USER,
    preparingMinutes: config.PREPARING_MINUTES,
    nodeGroups: config.NODE_GROUPS,
    sweepSeconds: config.SWEEP_SECONDS,
    diskRetentionDays: config.DISK_RETENTION_DAYS,
    adminUsers: config.ADMIN_USERS,
    adminRoles: config.ADMIN_ROLES,
    domain: config.DOMAIN,
    scheme: config.SCHEME,
    webhookSecret: config.WEBHOOK_SECRET,
    messagePath: MESSAGE_PATH,
    execCapSeconds: config.EXEC_CAP_SECONDS,
    idleGpuMinutes: config.IDLE_GPU_MINUTES,
    idleDryRun: config.AUTO_STOP_DRY_RUN === "1",
    orphansDryRun: config.ORPHANS_DRY_RUN === "1",
    open: config.BERTH_OPEN === "1",
  };
}

/** Its type is what it returns: packages/http is not to be imported here, and whoever composes a runtime compares them. */
function dialectSettings(config: KnownConfig) {
  return {
    sessionImage: config.SESSION_IMAGE,
    sessionBackup: config.SESSION_BACKUP === "1",
    regions: config.DEV8_REGIONS,
    workspaceImage: config.DEV8_IMAGE,
    catalogueFile: config.NOVITA_CATALOGUE,
  };
}

type KnownConfig = Pick<Config, (typeof settingNames)[number]>;

const settingNames = [
  "ALLOWED_ROLES",
  "ALLOWED_ACCOUNTS",
  "KEY_TTL_HOURS",
  "KEY_CHAIN_HOURS",
  "KEY_OVERLAP_SECONDS",
  "LOGIN_SERVER_ID",
  "STS_ORIGINS",
  "MIN_DURATION_HOURS",
  "MAX_DURATION_HOURS",
  "MAX_TOTAL_HOURS",
  "MAX_QUEUE_HOURS",
  "MAX_WAITING_PER_USER",
  "PREPARING_MINUTES",
  "NODE_GROUPS",
  "SWEEP_SECONDS",
  "DISK_RETENTION_DAYS",
  "ADMIN_USERS",
  "ADMIN_ROLES",
  "DOMAIN",
  "SCHEME",
  "WEBHOOK_SECRET",
  "SESSION_IMAGE",
  "SESSION_BACKUP",
  "DEV8_REGIONS",
  "DEV8_IMAGE",
  "NOVITA_CATALOGUE",
  "EXEC_CAP_SECONDS",
  "IDLE_GPU_MINUTES",
  "AUTO_STOP_DRY_RUN",
  "ORPHANS_DRY_RUN",
  "BERTH_OPEN",
] as const satisfies readonly ConfigName[];
