import * as provider from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import functionsFile from "../../functions.json" with { type: "json" };
import { openCluster } from "../../stacks/cluster/stage-cluster.ts";
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { makeGatewayRole } from "../../stacks/compute/gateway.ts";
import { buildArns, makeRoles } from "../../stacks/identities.ts";
import { isInNetwork, readStage, type Stage } from "../../stacks/stage.ts";
import { recordResources, writeRecorded } from "./recorder.ts";

/** This program creates the cluster of a stage, and what is created in it. That costs a tenth of a whole stage. */
recordResources();
// The globals of stacks/cluster. SST's components are not among them.
Object.assign(globalThis, { aws: provider, $util: pulumi });
await writeRecorded(await pulumi.runtime.runInPulumiStack(async () => run(readStage($app.stage, process.env))));

function run(stage: Stage): object {
  const cluster = openCluster(stage, new aws.kms.Key("Sealer", {}));
  const arns = getArns(stage);
  const roleFor = makeRoles(cluster.name, arns, "{}");
  for (const entry of functionsFile as FunctionsFile) if (entry.uses.includes("compute")) roleFor(entry);
  makeGatewayRole(stage, cluster.name, arns);
  const { EKS_CLUSTER } = stage.settings;
  return { ...cluster, settings: { EKS_CLUSTER } };
}

/** Only the ARNs of the cluster are compared. */
function getArns(stage: Stage): ReturnType<typeof buildArns> {
  const { tableName, name, eksCluster, ebsKey } = stage;
  const other = { arn: "arn:aws:any:us-east-1:123456789012:any" };
  return buildArns({
    deployment: tableName,
    stage: name,
    table: other,
    bucket: other,
    sealerKey: other,
    queues: { work: other.arn, pools: other.arn, webhooks: other.arn },
    eksCluster,
    ebsKey,
    inNetwork: isInNetwork(stage),
  });
}
