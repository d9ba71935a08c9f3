import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { printableText } from "#core/text/printable-text.ts";
import { describeApplyError } from "#kubernetes/setup/apply.ts";
import { checkSetup } from "#kubernetes/setup/check.ts";
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import {
  clusterLines,
  findClusterNeeds,
  findEksClient,
  findingLines,
  MISSING,
} from "../../stacks/plan/cluster-plan.ts";
import { readStage, type Stage } from "../../stacks/stage.ts";
import { type OpenCluster, openCluster } from "./open-cluster.ts";

const help = `Says what the cluster of a stage lacks, and what to do. Changes nothing.

  npm run cluster:check -- --stage dev          the cluster that .env.dev names (EKS_CLUSTER), as your AWS identity
  KUBECONFIG=<file> npm run cluster:check       another cluster, as the file says; KUBE_CONTEXT chooses its context

Exit code 0: nothing of what was checked is missing. 1: something is, or the cluster cannot be reached. 2: wrong use.
`;

process.exitCode = await main().catch((error: unknown) => {
  process.stderr.write(`${printableText(describeApplyError(error))}\n`);
  return 1;
});

async function main(): Promise<number> {
  const stageName = readStageName();
  if (typeof stageName === "number") return stageName;
  const cluster = await openCluster(stageName);
  try {
    const stage = stageName === undefined ? undefined : readStage(stageName, cluster.settings);
    const eksLines = stage ? await describeEks(stage, cluster.settings) : [];
    const report = await checkSetup(cluster.client, findNeeds(cluster, stage));
    const lines = [...eksLines, `The cluster itself (${cluster.name}):`, ...findingLines(report)];
    for (const line of lines) process.stdout.write(`${printableText(line)}\n`);
    return lines.some((line) => line.startsWith(MISSING)) ? 1 : 0;
  } finally {
    cluster.client.close();
  }
}

/** Returns undefined without a stage, or the exit code if the arguments are a question or wrong. */
function readStageName(): string | undefined | number {
  try {
    const { stage, help: asked } = parseArgs({
      options: { stage: { type: "string" }, help: { type: "boolean" } },
    }).values;
    if (!asked) return stage;
    process.stdout.write(help);
    return 0;
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return 2;
  }
}

async function describeEks(stage: Stage, settings: OpenCluster["settings"]): Promise<string[]> {
  const functions = JSON.parse(readFileSync("functions.json", "utf8")) as FunctionsFile;
  const client = await findEksClient({ ...process.env, ...settings });
  return clusterLines(client, findClusterNeeds(stage, functions, settings.DEPLOY_ACCOUNT));
}

function findNeeds({ manifests, settings }: OpenCluster, stage: Stage | undefined) {
  const { DOMAIN = "" } = settings;
  const gateway = stage?.gateway && { TABLE_NAME: stage.tableName, DOMAIN };
  return { manifests, hasEbs: stage !== undefined, gateway };
}
