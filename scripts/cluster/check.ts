import "../../stacks/stage-machine-types.ts";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { joinReports } from "#aws/cluster-check/findings.ts";
import { readConfigOf } from "#aws/settings/config.ts";
import { allSettingSchemas } from "#aws/settings/pod-setting-schemas.ts";
import type { ClusterReport } from "#core/ports/cluster-report.ts";
import { printableText } from "#core/text/printable-text.ts";
import { markOwned } from "#kubernetes/setup/apply.ts";
import { listCapabilityStages } from "#kubernetes/setup/capability-stages.ts";
import { checkSetup, type SetupNeeds, setupChecks } from "#kubernetes/setup/check.ts";
import { describeApplyError } from "#kubernetes/setup/plan-lines.ts";
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import {
  clusterLines,
  findClusterNeeds,
  findEksClient,
  findingLines,
  MISSING,
} from "../../stacks/plan/cluster-plan.ts";
import type { Stage } from "../../stacks/stage.ts";
import { type ClusterChoice, type OpenCluster, openCluster } from "./open-cluster.ts";
import { findOwnCluster, GatewaySettingsError, readWanted, type Wanted } from "./wanted.ts";
import { writeError } from "./write-error.ts";

const help = `Says what the cluster of a stage lacks, and what to do. Changes nothing.

  npm run cluster:check -- --stage dev          the cluster that .env.dev names (EKS_CLUSTER), as your AWS identity
  KUBECONFIG=<file> npm run cluster:check       another cluster, as the file says; KUBE_CONTEXT chooses its context

  --kubeconfig <file>    reach the stage's cluster as the file says, for example through a tunnel

Exit code 0: nothing of what was checked is missing. 1: something is, or the cluster cannot be reached. 2: wrong use.
`;

process.exitCode = await main().catch((error: unknown) => {
  writeError(describeApplyError(error));
  return 1;
});

async function main(): Promise<number> {
  const choice = readChoice();
  if (typeof choice === "number") return choice;
  const cluster = await openCluster(choice);
  try {
    const { stage, settings } = cluster;
    const eksLines = stage ? await describeEks(stage, settings) : [];
    const { wanted, settings: ofGateway } = await findWanted(cluster);
    const report = await checkSetup(cluster.client, findNeeds(wanted, cluster));
    const lines = [
      ...eksLines,
      `The cluster itself (${cluster.name}):`,
      ...findingLines(joinReports([ofGateway, report]), setupChecks + ofGateway.leftOut.length),
    ];
    for (const line of lines) process.stdout.write(`${printableText(line)}\n`);
    return lines.some((line) => line.startsWith(MISSING)) ? 1 : 0;
  } finally {
    cluster.client.close();
  }
}

/** Returns the exit code instead if the arguments are a question or wrong. */
function readChoice(): ClusterChoice | number {
  try {
    const { help: asked, ...choice } = parseArgs({
      options: { stage: { type: "string" }, kubeconfig: { type: "string" }, help: { type: "boolean" } },
    }).values;
    if (!asked) return choice;
    process.stdout.write(help);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return 2;
  }
}

async function describeEks(stage: Stage, settings: OpenCluster["settings"]): Promise<string[]> {
  const file = new URL("../../functions.json", import.meta.url);
  const functions = JSON.parse(readFileSync(file, "utf8")) as FunctionsFile;
  const client = await findEksClient({ ...process.env, ...settings });
  return clusterLines(client, findClusterNeeds(stage, functions, settings.DEPLOY_ACCOUNT));
}

/** Returns the objects of a cluster. If settings of the gateway are bad, reports them, and leaves out its objects. */
async function findWanted({
  client,
  settings,
  stage,
}: OpenCluster): Promise<{ wanted: Wanted; settings: ClusterReport }> {
  try {
    // The check of the objects reports rights that are missing.
    const capabilityStages = await listCapabilityStages(client).catch(() => []);
    return { wanted: await readWanted(settings, stage, capabilityStages), settings: { findings: [], leftOut: [] } };
  } catch (error) {
    if (!(error instanceof GatewaySettingsError)) throw error;
    const { shared, owned } = error.others;
    // As owned objects without the gateway's, they would make these a lack: objects of a former version.
    const wanted = { shared: [...shared, ...markOwned(owned)], owned: undefined };
    return { wanted, settings: describeGatewaySettings(error, settings, stage?.name ?? "") };
  }
}

function describeGatewaySettings({ message }: Error, settings: OpenCluster["settings"], stage: string): ClusterReport {
  const { GATEWAY_IMAGE, GATEWAY_CERTIFICATE_ARN } = settings;
  const what = "settings of the gateway";
  const objects = { what: "objects of the gateway", why: "they depend on its settings" };
  if (!GATEWAY_IMAGE && !GATEWAY_CERTIFICATE_ARN) {
    const why = "GATEWAY_IMAGE and GATEWAY_CERTIFICATE_ARN are not set, as for a gateway of your own Kustomize overlay";
    return { findings: [], leftOut: [{ what, why }, objects] };
  }
  // Below its heading, the message has a line for each bad setting.
  const [heading = "", ...problems] = message.split("\n");
  const missing = problems.length > 0 ? problems.map((problem) => problem.trim()) : [heading];
  const todo = `Correct it in .env.${stage}: docs/deploy.md#let-users-in`;
  return { findings: missing.map((problem) => ({ what, missing: problem, todo })), leftOut: [objects] };
}

function findNeeds({ shared, owned }: Wanted, { settings, stage }: OpenCluster): SetupNeeds {
  const { DOMAIN = "" } = settings;
  const gateway = stage?.gateway && { TABLE_NAME: stage.tableName, DOMAIN };
  const { NODE_TYPES: nodeTypes, NEW_MACHINE_RESOURCES: newMachineResources } = readConfigOf(
    allSettingSchemas,
    ["NODE_TYPES", "NEW_MACHINE_RESOURCES"],
    stage?.settings ?? settings,
  );
  const ownCluster = findOwnCluster(stage);
  const hasEbs = stage !== undefined;
  return { manifests: shared, owned, ownCluster, hasEbs, nodeTypes, newMachineResources, gateway };
}
