import { join } from "node:path";
import functionsFile from "../functions.json" with { type: "json" };
import { makeAlarms } from "./alarms/alarms.ts";
import { makeCanary } from "./alarms/canary.ts";
import { makeDashboard } from "./alarms/dashboard.ts";
import { makeApi } from "./api.ts";
import {
  functionArguments,
  logicalName,
  makeLogGroup,
  type Surroundings,
  servesRequests,
} from "./compute/functions.ts";
import type { FunctionEntry, FunctionsFile } from "./compute/functions-file.ts";
import { makeSocketApi, makeSockets, socketPolicy } from "./compute/sockets.ts";
import {
  allowLoops,
  makeSchedules,
  OLDEST_CALL_SECONDS,
  reservedConcurrency,
  subscribeConsumers,
} from "./compute/triggers.ts";
import { makeEdge } from "./edge/edge.ts";
import { makeFirewall } from "./edge/firewall.ts";
import { buildArns, makeRoles } from "./identities.ts";
import type { Stage } from "./stage.ts";
import { makeQueues } from "./storage/queues.ts";
import { makeBlobs, makeSealerKey, makeTable, readSecret } from "./storage/storage.ts";

export function makeApp(stage: Stage, root: string): { readonly url: $util.Output<string> } {
  const functions: FunctionsFile = functionsFile as FunctionsFile;
  const table = makeTable(stage);
  const sealerKey = makeSealerKey(stage);
  const { queues, deadLetterQueues } = makeQueues(functions, sealerKey);
  const bucket = makeBlobs(stage);
  const originSecrets = readSecret("OriginSecrets");
  const webhookSecret = readSecret("WebhookSecret");
  const { work, pools, webhooks } = queues;
  const socketApi = makeSocketApi();
  const roleFor = makeRoles(
    stage.eksCluster,
    buildArns({
      deployment: stage.tableName,
      stage: stage.name,
      table,
      bucket,
      sealerKey,
      eksCluster: stage.eksCluster,
      ebsKey: stage.ebsKey,
      inNetwork: stage.network !== undefined,
      queues: { work: work.arn, pools: pools.arn, webhooks: webhooks.arn },
    }),
    socketPolicy(socketApi, queues.shell, sealerKey),
  );
  const around: Surroundings = {
    stage,
    originSecrets,
    webhookSecret,
    bundles: join(root, "dist"),
    deployedAt: new Date().toISOString(),
    bucketName: bucket.name,
    sealerKeyId: sealerKey.arn,
    socketApiUrl: socketApi.url,
    shellQueueUrl: queues.shell.url,
    queueUrls: { WORK_QUEUE_URL: work.url, POOLS_QUEUE_URL: pools.url, WEBHOOKS_QUEUE_URL: webhooks.url },
  };
  const made = new Map(functions.map((entry) => [entry.name, makeFunction(entry, around, roleFor(entry))]));
  const getFunction = (entry: FunctionEntry) => made.get(entry.name) as sst.aws.Function;
  const getMade = <Entry extends FunctionEntry>(entries: readonly Entry[]) =>
    new Map(entries.map((entry) => [entry, getFunction(entry)]));
  const api = makeApi(functions, getFunction);
  subscribeConsumers(functions, queues, getFunction);
  for (const entry of functions.filter((each) => each.kind === "socket")) {
    makeSockets(socketApi, { made: getFunction(entry), queue: queues.shell, key: sealerKey });
  }
  allowLoops(functions, getFunction);
  const failedSchedules = makeSchedules(functions, getFunction);
  const edge = makeEdge({
    functions,
    root,
    originSecrets,
    domain: stage.domain,
    firewallArn: makeFirewall(stage, functions).arn,
    served: functions.filter(servesRequests).map(getFunction),
    apiUrl: api.url,
    socketUrl: socketApi.url,
    getUrl: (entry) => getFunction(entry).url,
  });
  const monitored = {
    queues,
    deadLetterQueues: { ...deadLetterQueues, schedules: failedSchedules },
    apiId: api.nodes.api.id,
    edge,
    schedules: getMade(functions.filter((entry) => entry.kind === "schedule")),
    sockets: getMade(functions.filter((entry) => entry.kind === "socket")),
    urls: getMade(functions.filter((entry) => entry.kind === "endpoint").filter(({ functionUrl }) => functionUrl)),
  };
  makeAlarms(stage, monitored);
  makeDashboard(stage, monitored);
  makeCanary(stage, edge.domainName);
  return { url: $util.interpolate`https://${stage.domain?.name ?? edge.domainName}` };
}

function makeFunction(entry: FunctionEntry, around: Surroundings, role: $util.Output<string>): sst.aws.Function {
  const reserved = reservedConcurrency(entry);
  const logs = makeLogGroup(entry, around.stage);
  return new sst.aws.Function(logicalName(entry), {
    ...functionArguments(entry, around, { role, logGroup: logs.name }),
    ...(reserved !== undefined && { concurrency: { reserved } }),
    transform: {
      // The role may not create log groups, so the group must exist before the function's first line.
      function: (_, options) => {
        options.dependsOn = logs;
      },
      // Only schedules use this; they have their own retries (functions.ts).
      eventInvokeConfig: (config) => {
        config.maximumEventAgeInSeconds = OLDEST_CALL_SECONDS;
      },
    },
  });
}
