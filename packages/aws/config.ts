import * as z from "zod";
import { findInstanceType } from "#core/fleet.ts";
import type { NodeGroup, Settings } from "#core/settings.ts";
import {
  endpointUrl,
  isBase64AfterPrefix,
  isKeysPattern,
  list,
  number,
  stsOfAllRegions,
  text,
} from "./setting-forms.ts";

/**
 * Every setting of Berth by its name in the environment, with default and rule; .env.example explains them. Each is made
 * when it is read: a function on Lambda reads a few of them.
 */
export const settingSchemas = {
  TABLE_NAME: () => text(/^[a-zA-Z0-9_.-]{3,255}$/, "must be a table name").default("berth"),
  WORK_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a queue" }),
  POOLS_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a FIFO queue" }),
  WEBHOOKS_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a queue" }),
  ORIGIN_SECRETS: () => list(/^[\w-]{32,128}$/, "secrets of 32 to 128 letters, digits, _ and -"),
  SEALER_KEY_ID: () => text(/^[\w/:-]{1,2048}$/, "must be the id, ARN or alias of a KMS key"),
  // S3 takes dots too, but no certificate covers `a.b.s3.<region>.amazonaws.com`.
  BLOBS_BUCKET: () => text(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "must be the name of a bucket without dots"),
  AWS_REGION: () => text(/^[a-z0-9-]+$/, "must be a region").default("us-east-1"),
  EKS_CLUSTER: () => text(/^[0-9A-Za-z][A-Za-z0-9_-]{0,99}$/, "must be the name of an EKS cluster"),
  EKS_ENDPOINT: () => z.url({ protocol: /^https$/, error: "must be an https URL" }).optional(),
  EKS_CA: () => z.base64("must be a certificate in base64").optional(),
  AWS_ENDPOINT_URL_STS: endpointUrl,
  AWS_ENDPOINT_URL_KMS: endpointUrl,
  AWS_ENDPOINT_URL_S3: endpointUrl,
  AWS_ENDPOINT_URL_EKS: endpointUrl,
  ALLOWED_ROLES: () => list(/^[\w+=,.@-]{1,64}$/, "role names").default(["SSOCloudDevGpuReservation"]),
  ADMIN_USERS: () => list(/^[\w.-]{1,255}$/, "usernames").default([]),
  ADMIN_ROLES: () => list(/^[\w+=,.@-]{1,64}$/, "role names").default([]),
  ALLOWED_ACCOUNTS: () => list(/^\d{12}$/, "account ids of 12 digits").default([]),
  KEY_TTL_HOURS: () => number({ min: 1, max: 168, whole: true }).default(2),
  KEY_CHAIN_HOURS: () => number({ min: 0.001, max: 168 }).default(12),
  KEY_OVERLAP_SECONDS: () => number({ min: 0, max: 3600 }).default(60),
  LOGIN_SERVER_ID: () => text(/^[\w.:-]{1,128}$/, "must be 1 to 128 letters, digits, _ . : -").default("berth-local"),
  STS_ORIGINS: () => list(/^https:\/\/[a-z0-9.-]+$/, "https origins without a port").default(stsOfAllRegions()),
  GITHUB_KEYS_URL: () =>
    z
      .string()
      .refine(isKeysPattern, "must be an http(s) URL that holds <user> in its path")
      .default("https://github.com/<user>.keys"),
  MIN_DURATION_HOURS: () => number({ min: 0, max: 72 }).default(0.083),
  MAX_DURATION_HOURS: () => number({ min: 0.001, max: 720 }).default(72),
  MAX_TOTAL_HOURS: () => number({ min: 0.001, max: 8760 }).default(168),
  MAX_QUEUE_HOURS: () => number({ min: 0.001, max: 720 }).default(48),
  MAX_WAITING_PER_USER: () => number({ min: 0, max: 2000, whole: true }).default(1000),
  PREPARING_MINUTES: () => number({ min: 0.01, max: 240 }).default(30),
  NODE_GROUPS: () =>
    list(NODE_GROUP, "node groups like p5.48xlarge=10 or p5.48xlarge=10:600:us-east-2a+us-east-2b")
      .default([])
      .transform((groups) => groups.map(nodeGroupOf))
      .refine(isOfKnownTypes, "must name each known instance type at most once"),
  NODE_TYPES: () =>
    list(NODE_TYPE, "label selectors with instance types, like gpu.vendor/model=h100=p5.48xlarge")
      .default([])
      .transform((rules) => rules.map(nodeTypeOf))
      .refine((rules) => rules.every(({ instanceType }) => findInstanceType(instanceType)), "must name known types"),
  SWEEP_SECONDS: () => number({ min: 1, max: 60, whole: true }).default(60),
  DISK_RETENTION_DAYS: () => number({ min: 0, max: 365 }).default(30),
  DOMAIN: () =>
    text(/^[a-z0-9.-]+(:\d{1,5})?$/, "must be a domain, with or without a port").default("preview.localhost"),
  SCHEME: () => z.enum(["http", "https"], { error: "must be http or https" }).default("https"),
  WEBHOOK_SECRET: () =>
    z
      .string()
      .min(8, "must have 8 characters or more")
      .refine(isBase64AfterPrefix, "must be base64 after whsec_")
      .optional(),
  WEBHOOK_ALLOW: () => list(/^[a-z0-9.:/-]{1,253}$/i, "hosts, addresses or networks").default([]),
  SESSION_IMAGE: () =>
    text(/^[\w./:@-]{1,512}$/, "must be the name of an image").default("codercom/code-server:latest"),
  SESSION_BACKUP: () => z.enum(["0", "1"], { error: "must be 0 or 1" }).default("1"),
  DEV8_REGIONS: () => list(/^[a-z0-9-]{1,40}$/, "names of regions").default(["centralindia", "eastus"]),
  DEV8_IMAGE: () =>
    z
      .string()
      .regex(/^(?:[\w./:@-]|<base>){1,512}$/, "must be the name of an image, which may hold <base>")
      .default("codercom/code-server:latest"),
  NOVITA_CATALOGUE: () => z.string().optional(),
  EXEC_CAP_SECONDS: () => number({ min: 1, max: 170, whole: true }).default(110),
  IDLE_GPU_MINUTES: () => number({ min: 1, max: 10_080 }).optional(),
  AUTO_STOP_DRY_RUN: () => z.enum(["0", "1"], { error: "must be 0 or 1" }).default("0"),
  BERTH_OPEN: () => z.enum(["0", "1"], { error: "must be 0 or 1" }).default("0"),
  METRICS_PORT: () => number({ min: 0, max: 65_535, whole: true }).optional(),
  PORT: () => number({ min: 0, max: 65_535, whole: true }).default(8080),
  SSH_PORT: () => number({ min: 0, max: 65_535, whole: true }).optional(),
  LOG_FORMAT: () => z.enum(["text", "json"], { error: "must be text or json" }).optional(),
  LOG_LEVEL: () =>
    z.enum(["debug", "info", "warn", "error"], { error: "must be debug, info, warn or error" }).default("info"),
  LOCAL_USERS: () =>
    list(/^[a-z0-9][a-z0-9.-]{0,30}[a-z0-9]$/, "names of 2 to 32 lower-case letters, digits, . and -").default([]),
  BERTH_HOME: () => z.string().default(".berth"),
  LOCAL_PATH: () => z.string().optional(),
  COMPUTE: () => z.enum(["process", "kubernetes"], { error: "must be process or kubernetes" }).default("process"),
  KUBECONFIG: () => z.string().optional(),
  KUBE_CONTEXT: () => z.string().optional(),
  TOOLS_IMAGE: () => z.string().optional(),
  CLUSTER_SSH: () => z.enum(["forward", "nodeport"], { error: "must be forward or nodeport" }).default("forward"),
  INGRESS_CLASS: () =>
    z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "must be the name of an ingress class")
      .optional(),
  INGRESS_ANNOTATIONS: () => z.string().transform(annotationsOf).optional(),
  LOCAL_NODES: () =>
    z.string().default("p5.48xlarge=2,p4d.24xlarge=1,g5.12xlarge=1,g4dn.2xlarge=1,c7i.8xlarge=1,m7i.8xlarge=2"),
};

export type Config = { [Name in keyof typeof settingSchemas]: z.output<ReturnType<(typeof settingSchemas)[Name]>> };
export type ConfigName = keyof Config;
export type Environment = Readonly<Record<string, string | undefined>>;

const NODE_GROUP = /^[a-z0-9.-]{1,40}=\d{1,5}(:\d{1,4}(:[a-z0-9-]{1,40}(\+[a-z0-9-]{1,40})*)?)?$/;
const STARTUP_SECONDS = 300;

/** `<instance type>=<most machines>[:<seconds until one is ready>[:<zone>+<zone>]]`. */
function nodeGroupOf(text: string): NodeGroup {
  const [name = "", rest = ""] = text.split("=");
  const [most = "", seconds = "", zones = ""] = rest.split(":");
  const startupMs = Number(seconds || STARTUP_SECONDS) * 1000;
  const pool = findInstanceType(name)?.pool ?? "";
  return { pool, mostNodes: Number(most), startupMs, zones: zones.split("+").filter(Boolean) };
}

const NODE_TYPE = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,316}(=[A-Za-z0-9._-]{0,63})?=[a-z0-9.-]{1,40}$/;

/** `<label>=<instance type>` or `<label>=<value>=<instance type>`. */
function nodeTypeOf(text: string): { label: string; value: string | null; instanceType: string } {
  const [label = "", ...rest] = text.split("=");
  const instanceType = rest.pop() ?? "";
  return { label, value: rest[0] ?? null, instanceType };
}

const annotationKey = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** A JSON object of texts under the names of annotations. */
function annotationsOf(text: string, ctx: z.RefinementCtx): Record<string, string> {
  const rule = 'must be JSON like {"nginx.ingress.kubernetes.io/auth-url":"https://…"}';
  const known = z.record(z.string().regex(annotationKey), z.string()).safeParse(jsonIn(text));
  if (known.success && Object.keys(known.data).length > 0) return known.data;
  ctx.addIssue({ code: "custom", message: rule });
  return z.NEVER;
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isOfKnownTypes(groups: readonly NodeGroup[]): boolean {
  const pools = groups.map(({ pool }) => pool);
  return !pools.includes("") && new Set(pools).size === pools.length;
}

/** The named settings; an empty variable counts as absent. Throws one message that names every bad one. */
export function readConfig<Name extends ConfigName>(
  names: readonly Name[],
  environment: Environment = process.env,
): Pick<Config, Name> {
  const given = names.map((name) => [name, environment[name] || undefined]);
  const schema = z.object(Object.fromEntries(names.map((name) => [name, settingSchemas[name]()])));
  const result = schema.safeParse(Object.fromEntries(given));
  const lines = [...withoutDefault(names, environment), ...(result.error?.issues.map(lineOf) ?? [])];
  if (lines.length > 0) throw new Error(`Bad settings:\n${lines.join("\n")}`);
  return result.data as Pick<Config, Name>;
}

/** On Lambda what names a resource or an identity has no default: it would be another deployment's, or nobody's. */
function withoutDefault(names: readonly ConfigName[], environment: Environment): string[] {
  if (environment.AWS_LAMBDA_FUNCTION_NAME === undefined) return [];
  return names
    .filter((name) => givenOnLambda.includes(name) && !environment[name])
    .map((name) => `  ${name} must be set`);
}

const givenOnLambda: readonly ConfigName[] = [
  "TABLE_NAME",
  "LOGIN_SERVER_ID",
  "DOMAIN",
  "ALLOWED_ACCOUNTS",
  "ALLOWED_ROLES",
];

/** The numbers and lists that verbs read from their context. */
export function readSettings(environment: Environment = process.env): Settings {
  const config = readConfig(settingNames, environment);
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
    sessionImage: config.SESSION_IMAGE,
    sessionBackup: config.SESSION_BACKUP === "1",
    regions: config.DEV8_REGIONS,
    workspaceImage: config.DEV8_IMAGE,
    catalogueFile: config.NOVITA_CATALOGUE,
    execCapSeconds: config.EXEC_CAP_SECONDS,
    idleGpuMinutes: config.IDLE_GPU_MINUTES,
    idleDryRun: config.AUTO_STOP_DRY_RUN === "1",
    open: config.BERTH_OPEN === "1",
  };
}

const settingNames = [
  ...(["KEY_CHAIN_HOURS", "KEY_OVERLAP_SECONDS"] as const),
  ...(["ALLOWED_ROLES", "ALLOWED_ACCOUNTS", "KEY_TTL_HOURS", "LOGIN_SERVER_ID", "STS_ORIGINS"] as const),
  ...(["MIN_DURATION_HOURS", "MAX_DURATION_HOURS", "MAX_TOTAL_HOURS", "MAX_QUEUE_HOURS"] as const),
  "MAX_WAITING_PER_USER" as const,
  ...(["ADMIN_USERS", "ADMIN_ROLES"] as const),
  ...([
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
    "BERTH_OPEN",
  ] as const),
  ...(["PREPARING_MINUTES", "NODE_GROUPS", "SWEEP_SECONDS", "DISK_RETENTION_DAYS"] as const),
];

function lineOf({ path, message }: z.core.$ZodIssue): string {
  return `  ${String(path[0])} ${message}`;
}
