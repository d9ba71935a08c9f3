import { existsSync } from "node:fs";
import { join } from "node:path";
import type { FunctionEntry } from "./functions-file.ts";
import type { Settings, Stage } from "./stage.ts";

type Text = $util.Input<string>;

/** What functions are told of the rest of the deployment. */
export interface Surroundings {
  readonly stage: Stage;
  /** `dist`, where `npm run bundle` writes. */
  readonly bundles: string;
  readonly queueUrls: Readonly<Record<"WORK_QUEUE_URL" | "POOLS_QUEUE_URL" | "WEBHOOKS_QUEUE_URL", Text>>;
  readonly bucketName: Text;
  readonly sealerKeyId: Text;
  /** With a comma between them while they are exchanged. */
  readonly originSecrets: Text;
  readonly webhookSecret: Text;
}

/** The arguments of one entry of functions.json. Throws where it was not bundled: SST would deploy an empty zip. */
export function functionArguments(entry: FunctionEntry, around: Surroundings, role: Text): sst.aws.FunctionArgs {
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
    environment: environmentOf(entry, around),
    logging: { retention: around.stage.isProduction ? "3 months" : "1 week", format: "json" },
    // Its address is behind the edge, whose answers say what browsers of other origins may do: nothing.
    ...(entry.kind === "endpoint" && entry.functionUrl && { url: { authorization: "none", cors: false } }),
  };
}

/** What a function needs and no more: a secret is only where it is used. */
export function environmentOf(entry: FunctionEntry, around: Surroundings): Record<string, Text> {
  const { stage } = around;
  const uses = (...ports: FunctionEntry["uses"]) => ports.some((port) => entry.uses.includes(port));
  const serves = entry.kind === "endpoint" || entry.kind === "fallback";
  const parts: readonly (false | Readonly<Record<string, Text>> | Settings)[] = [
    stage.settings,
    uses("table", "volumes", "compute") && { TABLE_NAME: stage.tableName },
    uses("queue") && around.queueUrls,
    uses("blobs") && { BLOBS_BUCKET: around.bucketName },
    uses("sealer") && { SEALER_KEY_ID: around.sealerKeyId },
    uses("compute") && stage.clusterSettings,
    uses("githubKeys") && stage.keysSettings,
    uses("fetch") && stage.receiverSettings,
    serves && { ORIGIN_SECRETS: around.originSecrets },
    entry.kind === "consumer" && uses("fetch") && { WEBHOOK_SECRET: around.webhookSecret },
  ];
  return Object.assign({}, ...parts);
}

/** The name of an entry in the stack: `gpu-dev/jobs/cancel` is `GpuDevJobsCancel`. */
export function logicalName({ name }: FunctionEntry): string {
  return name.replaceAll(/(?:^|[/-])([a-z0-9])/g, (_, first: string) => first.toUpperCase());
}
