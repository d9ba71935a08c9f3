import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Stage } from "../stage.ts";
import type { FunctionEntry } from "./functions-file.ts";

type Text = $util.Input<string>;

/** The rest of the deployment, as functions get to know it. */
export interface Surroundings {
  readonly stage: Stage;
  /** When this deployment began, as ISO 8601. */
  readonly deployedAt: string;
  /** `dist`, where `npm run bundle` writes. */
  readonly bundles: string;
  readonly queueUrls: Readonly<Record<"WORK_QUEUE_URL" | "POOLS_QUEUE_URL" | "WEBHOOKS_QUEUE_URL", Text>>;
  readonly shellQueueUrl: Text;
  readonly socketApiUrl: Text;
  readonly bucketName: Text;
  readonly sealerKeyId: Text;
  /** With a comma between them while they are exchanged. */
  readonly originSecrets: Text;
  readonly webhookSecret: Text;
}

/** The arguments of one entry of functions.json. Throws where it was not bundled: SST would deploy an empty zip. */
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
    // Its next call comes anyway, and a call that Lambda repeats would be counted as three that failed.
    ...(entry.kind === "schedule" && { retries: 0 }),
    ...(entry.uses.includes("compute") && around.stage.network && { vpc: { ...around.stage.network } }),
    // Its address is behind the edge, whose answers say what browsers of other origins may do: nothing.
    ...(entry.kind === "endpoint" && entry.functionUrl && { url: { authorization: "none", cors: false } }),
  };
}

/**
 * The log of a function, under a name that its role's policy knows: of long ones SST leaves out the app or half the
 * stage, and `berth-dev-*` would take in the stage `dev-2`.
 */
export function makeLogGroup(entry: FunctionEntry, stage: Stage): aws.cloudwatch.LogGroup {
  return new aws.cloudwatch.LogGroup(`${logicalName(entry)}Logs`, {
    name: `/${metricsNamespace(stage)}/${entry.name}`,
    retentionInDays: stage.isProduction ? 90 : 7,
  });
}

/** The name of the log groups without slash and function: packages/lambda/metrics.ts reads it out of theirs. */
export function metricsNamespace({ name }: Stage): string {
  return `berth/${name}`;
}

/**
 * Returns the settings that the function's code reads and that have a value. `SETTINGS` lists all that it reads: any
 * other one is refused when it is read (packages/aws/settings/settings.ts). So a changed setting changes only the
 * functions that read it, and a secret is only where it is used.
 */
export function getEnvironment(entry: FunctionEntry, around: Surroundings): Record<string, Text> {
  const { stage } = around;
  const values: Readonly<Record<string, Text | undefined>> = {
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
    // Only this function says how long Berth has been up. In all of them, each deployment would change every function.
    ...(entry.name === "shared/health" && { DEPLOYED_AT: around.deployedAt }),
  };
}

/** Whether it stands behind the edge, whose secret it asks for. */
export function servesRequests({ kind }: FunctionEntry): boolean {
  return kind === "endpoint" || kind === "fallback" || kind === "socket";
}

/** The name of an entry in the stack: `gpu-dev/jobs/cancel` is `GpuDevJobsCancel`. */
export function logicalName({ name }: Pick<FunctionEntry, "name">): string {
  return name.replaceAll(/(?:^|[/-])([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}
