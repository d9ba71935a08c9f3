import { join } from "node:path";
import functionsFile from "../functions.json" with { type: "json" };
import { type Monitored, makeAlarms } from "./alarms/alarms.ts";
import { makeCanary } from "./alarms/canary.ts";
import { makeDashboard } from "./alarms/dashboard.ts";
import { makeApi } from "./api.ts";
import { openCluster, type StageCluster } from "./cluster/stage-cluster.ts";
import { reservedConcurrency } from "./compute/concurrency.ts";
import {
  functionArguments,
  logicalName,
  makeLogGroup,
  type Surroundings,
  servesRequests,
} from "./compute/functions.ts";
import type { FunctionEntry, FunctionsFile } from "./compute/functions-file.ts";
import { makeGatewayRole } from "./compute/gateway.ts";
import { sendMachineNotices } from "./compute/machine-notices.ts";
import type { Arns } from "./compute/roles.ts";
import { makeSocketApi, makeSockets, type SocketApi, socketPolicy } from "./compute/sockets.ts";
import { allowLoops, makeSchedules, OLDEST_CALL_SECONDS, subscribeConsumers } from "./compute/triggers.ts";
import { makeConsole, openConsole } from "./edge/console.ts";
import { makeEdge } from "./edge/edge.ts";
import { makeFirewall } from "./edge/firewall.ts";
import { buildArns, makeRoles } from "./identities.ts";
import { isInNetwork, type Stage } from "./stage.ts";
import { type MadeQueues, makeQueues } from "./storage/queues.ts";
import { makeBlobs, makeSealerKey, makeTable, readSecret } from "./storage/storage.ts";

const functions = functionsFile as FunctionsFile;

type GetFunction = (entry: FunctionEntry) => sst.aws.Function;

/** Shown at the end of a deployment. */
interface Outputs {
  readonly url: $util.Output<string>;
  /** How users get in, and with a gateway the hosts that lead to it and the role of its pods. */
  readonly access: string;
  readonly sshHost?: string;
  readonly pageHosts?: string;
  readonly gatewayRole?: $util.Output<string>;
  /** Settings of another stage on the cluster that this stage makes. */
  readonly settingsForOthers?: $util.Input<string>;
}

export function makeApp(stage: Stage, root: string): Outputs {
  const stores = makeStores(stage);
  const arns = getArns(stage, stores);
  const cluster = openCluster(stage, stores.sealerKey);
  const secrets = { originSecrets: readSecret("OriginSecrets"), webhookSecret: readSecret("WebhookSecret") };
  const socketApi = makeSocketApi();
  const getFunction = makeFunctions(stage, root, { ...stores, ...secrets, arns, cluster, socketApi });
  const api = makeApi(functions, getFunction);
  const failedSchedules = connectTriggers(getFunction, stores, socketApi);
  const console = makeConsole(stage, root);
  const edge = makeEdge({
    functions,
    root,
    console,
    originSecrets: secrets.originSecrets,
    domain: stage.domain,
    firewallArn: makeFirewall(stage, functions).arn,
    served: functions.filter(servesRequests).map(getFunction),
    apiUrl: api.url,
    socketUrl: socketApi.url,
    getUrl: (entry) => getFunction(entry).url,
  });
  openConsole(console, edge.arn);
  makeMonitoring(stage, getFunction, {
    queues: stores.queues,
    deadLetterQueues: { ...stores.deadLetterQueues, schedules: failedSchedules },
    apiId: api.nodes.api.id,
    edge,
  });
  return {
    url: $util.interpolate`https://${stage.domain?.name ?? edge.domainName}`,
    access: stage.access,
    ...describeGateway(stage, makeGatewayRole(stage, cluster.name, arns)),
    ...(cluster.settingsForOthers && { settingsForOthers: cluster.settingsForOthers }),
  };
}

function describeGateway({ gateway }: Stage, role: aws.iam.Role | undefined): Partial<Outputs> {
  if (!gateway || !role) return {};
  return { sshHost: gateway.ssh, pageHosts: `*.${gateway.pages}`, gatewayRole: role.arn };
}

interface Stores extends MadeQueues {
  readonly table: sst.aws.Dynamo;
  readonly sealerKey: aws.kms.Key;
  readonly bucket: sst.aws.Bucket;
}

function makeStores(stage: Stage): Stores {
  const sealerKey = makeSealerKey(stage);
  return { table: makeTable(stage), sealerKey, ...makeQueues(functions, sealerKey), bucket: makeBlobs(stage) };
}

function getArns(stage: Stage, { table, sealerKey, queues: { work, pools, webhooks }, bucket }: Stores) {
  return buildArns({
    deployment: stage.tableName,
    stage: stage.name,
    table,
    bucket,
    sealerKey,
    eksCluster: stage.eksCluster,
    ebsKey: stage.ebsKey,
    inNetwork: isInNetwork(stage),
    queues: { work: work.arn, pools: pools.arn, webhooks: webhooks.arn },
  });
}

interface FunctionParts extends Stores, Pick<Surroundings, "originSecrets" | "webhookSecret"> {
  readonly arns: Arns<$util.Input<string>>;
  readonly cluster: StageCluster;
  readonly socketApi: SocketApi;
}

/** Creates all functions with their roles. Returns the function of an entry. */
function makeFunctions(stage: Stage, root: string, parts: FunctionParts): GetFunction {
  const { sealerKey, queues, bucket, arns, cluster, socketApi, originSecrets, webhookSecret } = parts;
  const { work, pools, webhooks, shell } = queues;
  const roleFor = makeRoles(cluster.name, arns, socketPolicy(socketApi, shell, sealerKey));
  const around: Surroundings = {
    stage,
    originSecrets,
    webhookSecret,
    clusterAddress: cluster.address,
    network: cluster.network,
    bundles: join(root, "dist"),
    deployedAt: new Date().toISOString(),
    bucketName: bucket.name,
    sealerKeyId: sealerKey.arn,
    socketApiUrl: socketApi.url,
    shellQueueUrl: shell.url,
    queueUrls: { WORK_QUEUE_URL: work.url, POOLS_QUEUE_URL: pools.url, WEBHOOKS_QUEUE_URL: webhooks.url },
  };
  const made = new Map(functions.map((entry) => [entry.name, makeFunction(entry, around, roleFor(entry))]));
  return ({ name }) => made.get(name) as sst.aws.Function;
}

/**
 * Connects queues, EC2's notices, frames of web shells and schedules to functions. Returns the queue of failed schedule
 * calls.
 */
function connectTriggers(
  getFunction: GetFunction,
  { queues, sealerKey }: Pick<Stores, "queues" | "sealerKey">,
  socketApi: SocketApi,
): sst.aws.Queue {
  subscribeConsumers(functions, queues, getFunction);
  sendMachineNotices(queues.work);
  for (const entry of functions.filter((each) => each.kind === "socket")) {
    makeSockets(socketApi, { made: getFunction(entry), queue: queues.shell, key: sealerKey });
  }
  allowLoops(functions, getFunction);
  return makeSchedules(functions, getFunction);
}

type Watched = Pick<Monitored, "queues" | "deadLetterQueues" | "apiId" | "edge">;

function makeMonitoring(stage: Stage, getFunction: GetFunction, watched: Watched): void {
  const getMade = <Entry extends FunctionEntry>(entries: readonly Entry[]) =>
    new Map(entries.map((entry) => [entry, getFunction(entry)]));
  const monitored: Monitored = {
    ...watched,
    schedules: getMade(functions.filter((entry) => entry.kind === "schedule")),
    sockets: getMade(functions.filter((entry) => entry.kind === "socket")),
    urls: getMade(functions.filter((entry) => entry.kind === "endpoint").filter(({ functionUrl }) => functionUrl)),
  };
  makeAlarms(stage, monitored);
  makeDashboard(stage, monitored);
  makeCanary(stage, watched.edge.domainName);
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
