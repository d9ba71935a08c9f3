import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "../stage.ts";
import type { ClusterAddress } from "./cluster-address.ts";
import type { FunctionEntry } from "./functions-file.ts";

type Text = $util.Input<string>;

export interface Surroundings {
  readonly stage: Stage;
  readonly deployedAt: string;
  readonly bundles: string;
  readonly queueUrls: Readonly<Record<"WORK_QUEUE_URL" | "POOLS_QUEUE_URL" | "WEBHOOKS_QUEUE_URL", Text>>;
  readonly shellQueueUrl: Text;
  readonly socketApiUrl: Text;
  readonly bucketName: Text;
  readonly sealerKeyId: Text;
  /** Comma-separated during a rotation. */
  readonly originSecrets: Text;
  readonly webhookSecret: Text;
  readonly clusterAddress: ClusterAddress;
  /** The network of functions that use the cluster. If undefined, they reach it from outside. */
  readonly network: FunctionNetwork | undefined;
}

export interface FunctionNetwork {
  readonly privateSubnets: $util.Input<Text[]>;
  readonly securityGroups: $util.Input<Text[]>;
}

/**
 * Returns the arguments of one entry of functions.json. Throws if it was not bundled: SST would deploy an empty zip.
 */
export function functionArguments(
  entry: FunctionEntry,
  around: Surroundings,
  { role, logGroup }: { readonly role: Text; readonly logGroup: Text },
): sst.aws.FunctionArgs {
  const bundle = join(around.bundles, entry.name);
  if (!existsSync(join(bundle, "index.mjs"))) {
    throw new Error(`${bundle} has no index.mjs: run \`npm run bundle\` before a deployment`);
  }
  return {
    bundle,
    role,
    handler: "index.handler",
    runtime: "nodejs24.x",
    architecture: "arm64",
    timeout: `${entry.timeoutSeconds} seconds`,
    memory: `${entry.memoryMb} MB`,
    environment: getEnvironment(entry, around),
    logging: { logGroup, format: "json" },
    // The next call comes anyway, and a repeated one would count as three failures.
    ...(entry.kind === "schedule" && { retries: 0 }),
    ...(entry.uses.includes("compute") && around.network && { vpc: { ...around.network } }),
    // The function URL is behind the edge, which allows no other origins.
    ...(entry.kind === "endpoint" && entry.functionUrl && { url: { authorization: "none", cors: false } }),
  };
}

/**
 * Creates the log group under a name that the role's policy can match exactly. SST shortens long names, and
 * `berth-dev-*` would match the stage `dev-2` too.
 */
export function makeLogGroup(entry: FunctionEntry, stage: Stage): aws.cloudwatch.LogGroup {
  return new aws.cloudwatch.LogGroup(`${logicalName(entry)}Logs`, {
    name: `/${metricsNamespace(stage)}/${entry.name}`,
    retentionInDays: stage.isProduction ? 90 : 7,
  });
}

export function metricsNamespace({ name }: Stage): string {
  return `berth/${name}`;
}

/**
 * Returns the settings that the function's code reads and that have a value. `SETTINGS` lists all of them, and any
 * other is refused when read (packages/aws/settings/settings.ts). So a changed setting redeploys only its readers,
 * and a secret is only where it is used.
 */
export function getEnvironment(entry: FunctionEntry, around: Surroundings): Record<string, Text> {
  const { stage } = around;
  const values: Readonly<Record<string, Text | undefined>> = {
    ...around.clusterAddress,
    ...stage.settings,
    ...around.queueUrls,
    TABLE_NAME: stage.tableName,
    SHELL_QUEUE_URL: around.shellQueueUrl,
    SOCKET_API_URL: around.socketApiUrl,
    BLOBS_BUCKET: around.bucketName,
    SEALER_KEY_ID: around.sealerKeyId,
    ORIGIN_SECRETS: around.originSecrets,
    WEBHOOK_SECRET: around.webhookSecret,
  };
  const settings = entry.settings.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(settings),
    SETTINGS: entry.settings.join(),
    // Only this function reports the uptime. In all of them, each deployment would change every function.
    ...(entry.name === "shared/health" && { DEPLOYED_AT: around.deployedAt }),
  };
}

export function servesRequests({ kind }: FunctionEntry): boolean {
  return kind === "endpoint" || kind === "fallback" || kind === "socket";
}

/** Returns the resource name: `gpu-dev/jobs/cancel` becomes `GpuDevJobsCancel`. */
export function logicalName({ name }: Pick<FunctionEntry, "name">): string {
  return name.replaceAll(/(?:^|[/-])([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}
