import functionsFile from "../functions.json" with { type: "json" };
import { problemsOnLambda, readConfigOf } from "../packages/aws/settings/config.ts";
import { allSettingSchemas } from "../packages/aws/settings/pod-setting-schemas.ts";
import { podSettingNames } from "../packages/aws/settings/pod-settings.ts";
import { instanceTypeOfPool } from "../packages/core/fleet.ts";
import {
  type Access,
  accessProblems,
  accessSettings,
  findGatewayHosts,
  type GatewayHosts,
  readAccess,
} from "./access.ts";
import {
  findNewCluster,
  makesCluster,
  type NewCluster,
  newClusterProblems,
  resolveCluster,
} from "./cluster/settings.ts";
import type { FunctionsFile } from "./compute/functions-file.ts";

export interface Stage {
  readonly name: string;
  readonly isProduction: boolean;
  /** The name of the table, and of the deployment on the cluster and on volumes. */
  readonly tableName: string;
  readonly eksCluster: string;
  /** Undefined for a cluster that exists already. */
  readonly newCluster: NewCluster | undefined;
  /** API_DOMAIN with API_CERTIFICATE_ARN, in us-east-1. If undefined, CloudFront chooses a name. */
  readonly domain: { readonly name: string; readonly certificateArn: string } | undefined;
  /** The network of an existing cluster's private API server: EKS_ACCESS=private with VPC_SUBNETS, VPC_SECURITY_GROUPS. */
  readonly network: { readonly privateSubnets: string[]; readonly securityGroups: string[] } | undefined;
  readonly access: Access;
  /** Undefined without ACCESS=gateway. */
  readonly gateway: GatewayHosts | undefined;
  /** ALARM_EMAIL, and MONTHLY_BUDGET_USD, above which the budget alarm fires. */
  readonly alarmEmail: string | undefined;
  readonly monthlyBudgetUsd: number | undefined;
  /** EBS_KMS_KEY_ID, the ARN of the key that encrypts disks. Undefined: the account's default key for EBS. */
  readonly ebsKey: string | undefined;
  /** By the names of .env.example. Each function gets those that it reads (functions.ts). */
  readonly settings: Readonly<Record<string, string>>;
}

/** A volume costs more than its snapshots, and binds the jobs of its disk to one zone. */
const DISK_VOLUME_IDLE_DAYS = "7";

type Environment = Readonly<Record<string, string | undefined>>;

const functions = functionsFile as FunctionsFile;

/** The settings of .env.example that functions read, without secrets and values that the stage creates. */
const passedOn = [
  "DOMAIN",
  "SCHEME",
  "ACCESS",
  "SSH_GATEWAY",
  "SSH_HOST_KEYS",
  "ALLOWED_ACCOUNTS",
  "ALLOWED_ROLES",
  "ADMIN_USERS",
  "ADMIN_ROLES",
  "LOGIN_SERVER_ID",
  "STS_ORIGINS",
  "KEY_TTL_HOURS",
  "KEY_CHAIN_HOURS",
  "KEY_OVERLAP_SECONDS",
  "MIN_DURATION_HOURS",
  "MAX_DURATION_HOURS",
  "MAX_TOTAL_HOURS",
  "MAX_QUEUE_HOURS",
  "MAX_WAITING_PER_USER",
  "PREPARING_MINUTES",
  "MACHINE_TYPES",
  "NODE_GROUPS",
  "DISK_RETENTION_DAYS",
  "DISK_VOLUME_IDLE_DAYS",
  "SESSION_IMAGE",
  "SESSION_BACKUP",
  "DEV8_REGIONS",
  "DEV8_IMAGE",
  "EXEC_CAP_SECONDS",
  "IDLE_GPU_MINUTES",
  "AUTO_STOP_DRY_RUN",
  "ORPHANS_DRY_RUN",
  "EKS_CLUSTER",
  "EKS_ENDPOINT",
  "EKS_CA",
  "NODE_TYPES",
  "NODE_TOLERATIONS",
  ...podSettingNames,
  "TOOLS_IMAGE",
  "GITHUB_KEYS_URL",
  "EBS_KMS_KEY_ID",
  "WEBHOOK_ALLOW",
] as const;
const place = ["AWS_REGION"] as const;
/** Settings that only `npm run cluster:apply` reads. */
const applied = ["PREPULL_IMAGES"] as const;

/**
 * Reads a stage from the environment, which SST fills from `.env` and `.env.<stage>`. Throws one message that names
 * all missing settings, and those that a function would refuse at its init: with these the whole API would answer
 * 5xx.
 */
export function readStage(name: string, written: Environment): Stage {
  const environment = resolveCluster(name, written);
  const problems = problemsOnLambda([...passedOn, ...place, ...applied], environment, allSettingSchemas);
  // The stage is part of all resource names, and the end of a label on the cluster.
  if (!/^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/.test(name)) {
    problems.push("  the stage must be 1 to 20 of a-z, 0-9 and -, a letter first and no - at its end");
  }
  const { API_DOMAIN, API_CERTIFICATE_ARN } = environment;
  problems.push(...accountProblems(environment), ...domainProblems(environment));
  problems.push(...alarmProblems(name, environment), ...networkProblems(written), ...newClusterProblems(written));
  problems.push(...accessProblems(environment), ...sizeProblems(environment));
  if (problems.length === 0) problems.push(...groupProblems(environment));
  if (problems.length > 0) throw new Error(`Stage ${name} cannot be deployed:\n${problems.join("\n")}`);
  return {
    name,
    isProduction: name === "production",
    tableName: `berth-${name}`,
    eksCluster: environment.EKS_CLUSTER ?? "",
    domain: API_DOMAIN && API_CERTIFICATE_ARN ? { name: API_DOMAIN, certificateArn: API_CERTIFICATE_ARN } : undefined,
    newCluster: findNewCluster(written),
    network: findNetwork(written),
    access: readAccess(environment),
    gateway: findGatewayHosts(environment),
    ebsKey: environment.EBS_KMS_KEY_ID || undefined,
    alarmEmail: environment.ALARM_EMAIL || undefined,
    monthlyBudgetUsd: environment.MONTHLY_BUDGET_USD ? Number(environment.MONTHLY_BUDGET_USD) : undefined,
    settings: {
      DISK_VOLUME_IDLE_DAYS,
      ...Object.fromEntries(passedOn.flatMap((each) => (environment[each] ? [[each, environment[each]]] : []))),
      ...accessSettings(environment),
    },
  };
}

/** Lambda allows 4 KB of variables ("Lambda quotas"), and values of the deployment itself take up to 1 KB. */
const MOST_OF_SETTINGS = 3_000;
/** Sizes of what each deployment reads from EKS, if the stage does not configure it. A certificate takes 1.5 KB. */
const SIZES_FROM_EKS: Readonly<Record<string, number>> = { EKS_ENDPOINT: 120, EKS_CA: 1_600 };

/** Names the longest setting of the function with the largest ones. */
function sizeProblems(environment: Environment): string[] {
  const sizes = functions.map(({ settings }) => {
    const names = passedOn.filter((each) => settings.includes(each));
    const list = Buffer.byteLength(`SETTINGS${settings.join()}`);
    return { names, bytes: names.reduce((sum, each) => sum + sizeIn(environment, each), list) };
  });
  const [largest] = sizes.toSorted((a, b) => b.bytes - a.bytes);
  const { names, bytes } = largest ?? { names: [], bytes: 0 };
  const chosen = names.filter((each) => environment[each]);
  const [longest] = chosen.toSorted((a, b) => sizeIn(environment, b) - sizeIn(environment, a));
  const words = `settings of one function take ${bytes} bytes, and Lambda has room for ${MOST_OF_SETTINGS}`;
  return bytes <= MOST_OF_SETTINGS ? [] : [`  ${words}: shorten ${longest}`];
}

function sizeIn(environment: Environment, name: string): number {
  const value = environment[name];
  return value ? Buffer.byteLength(name) + Buffer.byteLength(value) : (SIZES_FROM_EKS[name] ?? 0);
}

/** EBS makes a volume in a zone, and the volume of a disk is made before the machine of its job comes. */
function groupProblems(environment: Environment): string[] {
  const { NODE_GROUPS } = readConfigOf(allSettingSchemas, ["NODE_GROUPS"], environment);
  const lacking = NODE_GROUPS.filter(({ mostNodes, zones }) => mostNodes > 0 && zones.length === 0);
  return lacking.map(
    ({ pool }) =>
      `  NODE_GROUPS must name the zones of ${instanceTypeOfPool(pool).name}, as its comment in .env.example does`,
  );
}

function accountProblems({ DEPLOY_ACCOUNT }: Environment): string[] {
  const isGood = !DEPLOY_ACCOUNT || /^\d{12}$/.test(DEPLOY_ACCOUNT);
  return isGood ? [] : ["  DEPLOY_ACCOUNT must be an account id of 12 digits"];
}

/** CloudFront accepts only certificates in us-east-1, and refuses others late in a deployment. */
function domainProblems({ API_DOMAIN = "", API_CERTIFICATE_ARN = "" }: Environment): string[] {
  if (!API_DOMAIN && !API_CERTIFICATE_ARN) return [];
  if (!API_DOMAIN || !API_CERTIFICATE_ARN) return ["  API_DOMAIN needs API_CERTIFICATE_ARN"];
  const isCertificate = /^arn:aws[a-z-]*:acm:us-east-1:\d{12}:certificate\/[\w-]+$/.test(API_CERTIFICATE_ARN);
  return [
    ...(/^([a-z0-9-]+\.)+[a-z]+$/.test(API_DOMAIN) ? [] : ["  API_DOMAIN must be a host name"]),
    ...(isCertificate ? [] : ["  API_CERTIFICATE_ARN must be the ARN of a certificate in us-east-1"]),
  ];
}

function alarmProblems(name: string, { ALARM_EMAIL, MONTHLY_BUDGET_USD }: Environment): string[] {
  const isMissing = !ALARM_EMAIL && (name === "production" || Boolean(MONTHLY_BUDGET_USD));
  const isBad = Boolean(ALARM_EMAIL) && !/^[^\s@]+@[^\s@]+$/.test(ALARM_EMAIL ?? "");
  return [
    ...(isMissing ? ["  ALARM_EMAIL must be set in production, and where a budget is"] : []),
    ...(isBad ? ["  ALARM_EMAIL must be an address"] : []),
    ...(/^([1-9]\d{0,8})?$/.test(MONTHLY_BUDGET_USD ?? "") ? [] : ["  MONTHLY_BUDGET_USD must be a whole number"]),
  ];
}

function networkProblems(environment: Environment): string[] {
  const { EKS_ACCESS, VPC_SUBNETS = "", VPC_SECURITY_GROUPS = "" } = environment;
  if (!["", "public", "private"].includes(EKS_ACCESS ?? "")) return ["  EKS_ACCESS must be public or private"];
  if (makesCluster(environment)) return [];
  if (EKS_ACCESS !== "private") {
    return VPC_SUBNETS || VPC_SECURITY_GROUPS ? ["  VPC_SUBNETS and VPC_SECURITY_GROUPS need EKS_ACCESS=private"] : [];
  }
  return [
    ...(isList("subnet", VPC_SUBNETS) ? [] : ["  EKS_ACCESS=private needs VPC_SUBNETS, like subnet-0a1b,subnet-2c3d"]),
    ...(isList("sg", VPC_SECURITY_GROUPS) ? [] : ["  EKS_ACCESS=private needs VPC_SECURITY_GROUPS, like sg-0a1b"]),
  ];
}

/** Reports whether the functions that use the cluster run in its network. */
export function isInNetwork({ network, newCluster }: Pick<Stage, "network" | "newCluster">): boolean {
  return network !== undefined || newCluster?.isPrivate === true;
}

function isList(kind: "subnet" | "sg", text: string): boolean {
  return text.split(",").every((id) => new RegExp(`^${kind}-[0-9a-f]+$`).test(id));
}

function findNetwork(environment: Environment): Stage["network"] {
  const { EKS_ACCESS, VPC_SUBNETS = "", VPC_SECURITY_GROUPS = "" } = environment;
  if (EKS_ACCESS !== "private" || makesCluster(environment)) return undefined;
  return { privateSubnets: VPC_SUBNETS.split(","), securityGroups: VPC_SECURITY_GROUPS.split(",") };
}
