import "../../stacks/stage-machine-types.ts";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { joinReports } from "#aws/cluster-check/findings.ts";
import type { Finding } from "#core/ports/cluster-report.ts";
import {
  type ClusterStage,
  checkNewCluster,
  makesOwnCluster,
} from "../../stacks/plan/new-cluster/check-new-cluster.ts";
import { isOfStage, readExisting } from "../../stacks/plan/new-cluster/existing-cluster.ts";
import { openStage, type Settings } from "./open-cluster.ts";
import { readWanted } from "./wanted.ts";
import { writeError } from "./write-error.ts";

const help = `Deploys a stage, and then applies the objects of its cluster.

  npm run deploy -- --stage dev

  --yes                  do not ask before the cluster is changed; needed where nobody can be asked
  --kubeconfig <file>    reach the cluster as the file says, for example through a tunnel
  --no-cluster           leave the cluster as it is; then settings may come from this shell, without .env.dev

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
  const without = own["no-cluster"] ? "--no-cluster" : await findWithoutCluster(name);
  // SST gets Ctrl-C too, and takes a while to stop. This process waits for it.
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => undefined);
  const deployed = run("tools/sst/node_modules/.bin/sst", ["deploy", ...withoutOwn(words)]);
  if (deployed !== 0) return deployed;
  if (without === undefined) return applyCluster(name, own);
  writeError(`${without}: no cluster was changed.`);
  return 0;
}

/** Returns the setting by which a stage has no cluster. Throws what a cluster would lack, before anything is made. */
async function findWithoutCluster(name: string): Promise<string | undefined> {
  const { settings, stage } = await openStage(name);
  await readWanted(settings, stage);
  if (makesOwnCluster(stage)) await refuseProblems(stage, settings);
  const { COMPUTE = "kubernetes" } = settings;
  return COMPUTE === "kubernetes" ? undefined : `COMPUTE=${COMPUTE}`;
}

async function refuseProblems(stage: ClusterStage, settings: Settings): Promise<void> {
  const environment = { ...process.env, ...settings };
  const existing = await readExisting(stage, environment);
  const { refused, warned } = await checkNewCluster(stage, environment, existing);
  const [{ findings, leftOut }, warnings] = [joinReports(refused), joinReports(warned)];
  const toLine = ({ what, missing, todo }: Finding) => `${what}: ${missing}. ${todo}`;
  const found = findings.map((finding) => `  ${toLine(finding)}`).join("\n");
  for (const { what, why } of [...leftOut, ...warnings.leftOut]) writeError(`Not checked: ${what}: ${why}.`);
  const isTaken = "value" in existing && existing.value !== undefined && !isOfStage(existing.value, stage);
  if (found && (stage.newCluster.isProtected || isTaken))
    throw new Error(`The cluster cannot be made or upgraded, and nothing was changed:\n${found}`);
  // This deployment ends the protection of what a failed first one made (docs/own-cluster.md).
  if (found)
    writeError(`EKS_PROTECT=0: the deployment goes on, although the cluster cannot be made as a whole:\n${found}`);
  for (const finding of warnings.findings) writeError(`Warning: ${toLine(finding)}`);
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

function run(command: string, args: readonly string[]): number {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error) throw error;
  return status ?? 1;
}
