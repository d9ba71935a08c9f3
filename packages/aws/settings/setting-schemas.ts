import * as z from "zod";
import {
  annotations,
  endpointUrl,
  flag,
  image,
  isBase64AfterPrefix,
  isKeysPattern,
  list,
  networks,
  nodeGroups,
  nodeTolerations,
  number,
  sshAddress,
  stsOfAllRegions,
  text,
} from "./setting-forms.ts";

/** Schemas of all settings but those of pods (pod-setting-schemas.ts), explained in .env.example. Each is created on use, to shorten a function's init. */
export const settingSchemas = {
  TABLE_NAME: () => text(/^[a-zA-Z0-9_.-]{3,255}$/, "must be a table name").default("berth"),
  WORK_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a queue" }),
  POOLS_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a FIFO queue" }),
  WEBHOOKS_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a queue" }),
  SHELL_QUEUE_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a FIFO queue" }),
  SOCKET_API_URL: () => z.url({ protocol: /^https?$/, error: "must be the URL of a stage of a WebSocket API" }),
  ORIGIN_SECRETS: () => list(/^[\w-]{32,128}$/, "secrets of 32 to 128 letters, digits, _ and -"),
  SEALER_KEY_ID: () => text(/^[\w/:-]{1,2048}$/, "must be the id, ARN or alias of a KMS key"),
  // Policies name keys by ARN, and an alias may lead to another key later.
  EBS_KMS_KEY_ID: () =>
    text(/^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key\/[\w-]{1,64}$/, "must be the ARN of a KMS key").optional(),
  // S3 allows dots, but no certificate covers `a.b.s3.<region>.amazonaws.com`.
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
  NODE_GROUPS: nodeGroups,
  NODE_TOLERATIONS: nodeTolerations,
  // Longer ones would meet the cluster's own deadline, 15 minutes after the job's end.
  SWEEP_SECONDS: () => number({ min: 1, max: 60, whole: true }).default(60),
  DISK_RETENTION_DAYS: () => number({ min: 0, max: 365 }).default(30),
  DISK_VOLUME_IDLE_DAYS: () => number({ min: 0, max: 365 }).default(0),
  DOMAIN: () =>
    text(/^[a-z0-9.-]+(:\d{1,5})?$/, "must be a domain, with or without a port").default("preview.localhost"),
  SCHEME: () => z.enum(["http", "https"], { error: "must be http or https" }).default("https"),
  ACCESS: () => z.enum(["gateway", "nodeport", "none"], { error: "must be gateway, nodeport or none" }).optional(),
  SSH_GATEWAY: () => sshAddress().optional(),
  SSH_HOST_KEYS: () =>
    list(/^[a-z0-9-]{7,40} [A-Za-z0-9+/]{32,800}={0,2}$/, "public keys without comments").default([]),
  HOST_KEY_FILE: () => text(/^\//, "must be the path of a file"),
  ALLOWED_SOURCES: () => networks().default([]),
  DRAIN_SECONDS: () => number({ min: 0, max: 86_400, whole: true }).default(3600),
  WEBHOOK_SECRET: () =>
    z
      .string()
      .min(8, "must have 8 characters or more")
      .refine(isBase64AfterPrefix, "must be base64 after whsec_")
      .optional(),
  WEBHOOK_ALLOW: () => list(/^[a-z0-9.:/-]{1,253}$/i, "hosts, addresses or networks").default([]),
  SESSION_IMAGE: () => image().default("codercom/code-server:latest"),
  SESSION_BACKUP: () => flag().default(true),
  DEV8_REGIONS: () => list(/^[a-z0-9-]{1,40}$/, "names of regions").default(["centralindia", "eastus"]),
  DEV8_IMAGE: () => image((name) => name.replaceAll("<base>", "node")).default("codercom/code-server:latest"),
  NOVITA_CATALOGUE: () => z.string().optional(),
  EXEC_CAP_SECONDS: () => number({ min: 1, max: 170, whole: true }).default(110),
  IDLE_GPU_MINUTES: () => number({ min: 1, max: 10_080 }).optional(),
  AUTO_STOP_DRY_RUN: () => flag().default(false),
  ORPHANS_DRY_RUN: () => flag().default(false),
  BERTH_OPEN: () => flag().default(false),
  METRICS_PORT: () => number({ min: 0, max: 65_535, whole: true }).optional(),
  PORT: () => number({ min: 0, max: 65_535, whole: true }).default(8080),
  SSH_PORT: () => number({ min: 0, max: 65_535, whole: true }).optional(),
  POD_IP: () => z.union([z.ipv4(), z.ipv6()], { error: "must be an address" }).optional(),
  TUNNEL_PORT: () => number({ min: 0, max: 65_535, whole: true }).default(7022),
  LOG_FORMAT: () => z.enum(["text", "json"], { error: "must be text or json" }).optional(),
  LOG_LEVEL: () =>
    z.enum(["debug", "info", "warn", "error"], { error: "must be debug, info, warn or error" }).default("info"),
  LOCAL_USERS: () =>
    list(/^[a-z0-9][a-z0-9.-]{0,30}[a-z0-9]$/, "names of 2 to 32 lower-case letters, digits, . and -").default([]),
  SHARE_WITHOUT_MEMORY_LIMIT: () => z.enum(["0", "1"], { error: "must be 0 or 1" }).default("0"),
  BERTH_HOME: () => z.string().default(".berth"),
  LOCAL_PATH: () => z.string().optional(),
  COMPUTE: () => z.enum(["process", "kubernetes"], { error: "must be process or kubernetes" }).default("process"),
  POD_GRACE_SECONDS: () => number({ min: 1, max: 600, whole: true }).default(10),
  IMAGE_PULL_SECRETS: () =>
    list(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "names of Secrets of the namespace berth-environments").default([]),
  KUBECONFIG: () => z.string().optional(),
  KUBE_CONTEXT: () => z.string().optional(),
  TOOLS_IMAGE: () => image().optional(),
  CLUSTER_SSH: () => z.enum(["forward", "nodeport"], { error: "must be forward or nodeport" }).default("forward"),
  INGRESS_CLASS: () =>
    z
      .string()
      .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, "must be the name of an ingress class")
      .optional(),
  INGRESS_ANNOTATIONS: () => annotations().optional(),
  LOCAL_NODES: () =>
    z.string().default("p5.48xlarge=2,p4d.24xlarge=1,g5.12xlarge=1,g4dn.2xlarge=1,c7i.8xlarge=1,m7i.8xlarge=2"),
};
