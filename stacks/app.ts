import { join } from "node:path";
import functionsFile from "../functions.json" with { type: "json" };
import { makeApi } from "./api.ts";
import { makeBlobs, makeSealerKey } from "./blobs.ts";
import { subscribeConsumers } from "./consumers.ts";
import { makeEdge } from "./edge.ts";
import { functionArguments, logicalName, type Surroundings } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";
import { arnsOf, makeRoles } from "./identities.ts";
import { makeQueues } from "./queues.ts";
import { makeSchedules, reservedConcurrency } from "./schedules.ts";
import type { Stage } from "./stage.ts";
import { makeTable } from "./storage.ts";

/** All of one stage, from the stores outwards. `root` is the project. */
export function makeApp(stage: Stage, root: string): { readonly url: $util.Output<string> } {
  // The web shell has no handler yet.
  const functions = (functionsFile as FunctionsFile).filter(({ kind }) => kind !== "socket");
  const table = makeTable(stage);
  const queues = makeQueues(functions);
  const bucket = makeBlobs(stage);
  const sealerKey = makeSealerKey(stage);
  const originSecrets = new sst.Secret("OriginSecrets").value;
  const webhookSecret = new sst.Secret("WebhookSecret").value;
  const { work, pools, webhooks } = queues;
  const roleFor = makeRoles(
    arnsOf({
      ...{ deployment: stage.tableName, table, bucket, sealerKey, eksCluster: stage.eksCluster },
      queues: { work: work.arn, pools: pools.arn, webhooks: webhooks.arn },
    }),
  );
  const around: Surroundings = {
    ...{ stage, originSecrets, webhookSecret, bundles: join(root, "dist") },
    ...{ bucketName: bucket.name, sealerKeyId: sealerKey.arn },
    queueUrls: { WORK_QUEUE_URL: work.url, POOLS_QUEUE_URL: pools.url, WEBHOOKS_QUEUE_URL: webhooks.url },
  };
  const made = new Map(functions.map((entry) => [entry.name, makeFunction(entry, around, roleFor(entry))]));
  const functionOf = (entry: FunctionEntry) => made.get(entry.name) as sst.aws.Function;
  const api = makeApi(functions, functionOf);
  subscribeConsumers(functions, queues, functionOf);
  makeSchedules(functions, functionOf);
  const edge = makeEdge({
    ...{ functions, root, originSecrets, domain: stage.domain },
    apiUrl: api.url,
    urlOf: (entry) => functionOf(entry).url,
  });
  return { url: $util.interpolate`https://${stage.domain?.name ?? edge.domainName}` };
}

function makeFunction(entry: FunctionEntry, around: Surroundings, role: $util.Output<string>): sst.aws.Function {
  const reserved = entry.kind === "schedule" ? reservedConcurrency(entry) : undefined;
  return new sst.aws.Function(logicalName(entry), {
    ...functionArguments(entry, around, role),
    ...(reserved !== undefined && { concurrency: { reserved } }),
  });
}
