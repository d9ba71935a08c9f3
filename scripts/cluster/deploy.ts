import "../../stacks/stage-machine-types.ts";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { joinReports } from "#aws/cluster-check/findings.ts";
import type { Finding } from "#core/ports/cluster-report.ts";
import { makesCluster } from "../../stacks/cluster/settings.ts";
import type { FunctionsFile } from "../../stacks/compute/functions-file.ts";
import {
  type ClusterStage,
  checkNewCluster,
  makesOwnCluster,
} from "../../stacks/plan/new-cluster/check-new-cluster.ts";
import { findNeedOfFunctions } from "../../stacks/plan/quota.ts";
import { checkQuotas } from "../../stacks/plan/quota-check.ts";
import { readStage } from "../../stacks/stage.ts";
import { readStageFiles } from "../../stacks/stage-files.ts";
import { openStage, type Settings } from "./open-cluster.ts";
import { run, runSst } from "./run-sst.ts";
import { readWanted } from "./wanted.ts";
import { writeError } from "./write-error.ts";

const help = `Deploys a stage, and then applies the objects of its cluster.

  npm run deploy -- --stage dev

  --yes                  do not ask before the cluster is changed; needed where nobody can be asked
  --kubeconfig <file>    reach the cluster as the file says, for example through a tunnel
  --no-cluster           leave the cluster's objects as they are; then settings may come from this shell, without .env.dev

Any other option is one of "sst deploy". Exit code 0: done. 2: wrong use. 3: the stage is deployed, but its Kubernetes
objects are not applied. Any other: that of "sst deploy", and the cluster was not changed.
`;

const [wrongUse, clusterOpen] = [2, 3];

const options = {
  stage: { type: "string" },
  yes: { type: "boolean" },
  kubeconfig: { type: "string" },
  "no-cluster": { type: "boolean" },
  help: { type: "boolean" },
} as const;

process.exitCode = await main().catch((error: unknown) => {
  writeError(error instanceof Error ? error.message : String(error));
  return 1;
});

async function main(): Promise<number> {
  const words = process.argv.slice(2);
  const { stage: name, help: asked, ...own } = parseArgs({ args: words, options, strict: false }).values;
  if (asked) process.stdout.write(help);
  if (asked) return 0;
  if (typeof name !== "string") {
    process.stderr.write(`Name the stage with --stage\n\n${help}`);
    return wrongUse;
  }
  const leavesCluster = Boolean(own["no-cluster"]);
  const settings = await (leavesCluster ? checkWithoutCluster(name) : checkWithCluster(name));
  await warnOfQuota(settings);
  const deployed = runSst(["deploy", ...withoutOwn(words)]);
  if (deployed !== 0) return deployed;
  if (!leavesCluster) return applyCluster(name, own);
  writeError("--no-cluster: no cluster was changed.");
  return 0;
}

/**
 * Checks the account for a stage that makes its cluster: only the objects of the cluster are left out. Its settings may be
 * variables of this shell, as SST reads them.
 */
async function checkWithoutCluster(name: string): Promise<Settings> {
  const settings = { ...process.env, ...readStageFiles(name) };
  const stage = makesCluster(settings) ? readStage(name, settings) : undefined;
  if (stage && makesOwnCluster(stage)) await refuseProblems(stage, settings);
  return settings;
}

/** Throws what a cluster would lack, before anything is made. */
async function checkWithCluster(name: string): Promise<Settings> {
  const { settings, stage } = await openStage(name);
  await readWanted(settings, stage);
  if (makesOwnCluster(stage)) await refuseProblems(stage, settings);
  return settings;
}

/** Warns if the quota is too small. A new account may have 10, with which the first deployment fails half-way. */
async function warnOfQuota(settings: Settings): Promise<void> {
  const file = new URL("../../functions.json", import.meta.url);
  const need = findNeedOfFunctions(JSON.parse(readFileSync(file, "utf8")) as FunctionsFile);
  const { findings, leftOut } = await checkQuotas([need], { ...process.env, ...settings });
  for (const { what, why } of leftOut) writeError(`Not checked: ${what}: ${why}.`);
  for (const finding of findings) writeError(`Warning: ${formatFinding(finding)}`);
}

function formatFinding({ what, missing, todo }: Finding): string {
  return `${what}: ${missing}. ${todo}`;
}

/** Throws what the account says against the stage's own cluster, before anything is made. */
async function refuseProblems(stage: ClusterStage, settings: Settings): Promise<void> {
  const checks = await checkNewCluster(stage, { ...process.env, ...settings });
  const [impossible, refused, warned] = [checks.impossible, checks.refused, checks.warned].map(joinReports);
  const toLines = (findings: readonly Finding[]) => findings.map((each) => `  ${formatFinding(each)}`).join("\n");
  for (const { what, why } of [impossible, refused, warned].flatMap((report) => report?.leftOut ?? []))
    writeError(`Not checked: ${what}: ${why}.`);
  const stops = [...(impossible?.findings ?? []), ...(stage.newCluster.isProtected ? (refused?.findings ?? []) : [])];
  if (stops.length > 0)
    throw new Error(`The cluster cannot be made or upgraded, and nothing was changed:\n${toLines(stops)}`);
  // This deployment ends the protection of what a failed first one made (docs/own-cluster.md).
  const found = toLines(refused?.findings ?? []);
  if (found)
    writeError(`EKS_PROTECT=0: the deployment goes on, although the cluster cannot be made as a whole:\n${found}`);
  for (const finding of warned?.findings ?? []) writeError(`Warning: ${formatFinding(finding)}`);
}

interface ClusterOptions {
  readonly kubeconfig?: string | boolean | undefined;
  readonly yes?: string | boolean | undefined;
}

function applyCluster(name: string, { kubeconfig, yes }: ClusterOptions): number {
  const file = typeof kubeconfig === "string" ? ["--kubeconfig", kubeconfig] : [];
  const choice = ["--stage", name, ...file];
  const script = fileURLToPath(new URL("apply.ts", import.meta.url));
  if (run(process.execPath, [script, ...choice, ...(yes ? ["--yes"] : [])]) === 0) return 0;
  writeError(
    `Stage ${name} is deployed, but its cluster is not as it wants, for the reason above. The deployment need not be ` +
      `repeated. Go on with: npm run cluster:apply -- ${choice.join(" ")}`,
  );
  return clusterOpen;
}

/** Returns the words for SST, which does not know the options of the cluster. */
function withoutOwn(words: readonly string[]): string[] {
  const isOwn = (word: string) =>
    ["--yes", "--no-cluster", "--kubeconfig"].includes(word) || word.startsWith("--kubeconfig=");
  return words.filter((word, at) => !isOwn(word) && words[at - 1] !== "--kubeconfig");
}
