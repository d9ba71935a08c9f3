import "../../stacks/stage-machine-types.ts";
import { parseArgs } from "node:util";
import { printableText } from "#core/text/printable-text.ts";
import type { Stage } from "../../stacks/stage.ts";
import { confirm } from "../cluster/confirm.ts";
import { openStage } from "../cluster/open-cluster.ts";
import { runSst } from "../cluster/run-sst.ts";
import { writeError } from "../cluster/write-error.ts";
import { formatSteps, isDone, type RemovalStep } from "./removal-step.ts";
import { findRemovalSteps } from "./removal-steps.ts";
import { describePause } from "./stage-pause.ts";

const help = `Removes a stage, once nothing is left of it that would stay and cost money.

  npm run remove -- --stage dev          what is left, in the order of its removal, and then "sst remove"

  --check                only say what is left; exit code 1 if something is
  --yes                  do not ask
  --force                remove the stage although something is left, or is not known
  --kubeconfig <file>    reach the stage's cluster as the file says, for example through a tunnel

Exit code 0: done. 1: something is left, and nothing was removed. 2: wrong use. Any other: that of "sst remove".
`;

const wrongUse = 2;

const options = {
  stage: { type: "string" },
  check: { type: "boolean" },
  yes: { type: "boolean" },
  force: { type: "boolean" },
  kubeconfig: { type: "string" },
  help: { type: "boolean" },
} as const;

process.exitCode = await main().catch((error: unknown) => {
  writeError(error instanceof Error ? error.message : String(error));
  return 1;
});

async function main(): Promise<number> {
  const choice = readChoice();
  if (typeof choice === "number") return choice;
  const { stage: name, check, yes, force, kubeconfig } = choice;
  const { settings, stage } = await openStage(name);
  if (stage.isProduction)
    throw new Error("production cannot be removed: docs/deploy.md#upgrade-go-back-restore-remove");
  const pause = await describePause(stage, { ...process.env, ...settings });
  const steps = await findRemovalSteps(stage, settings, kubeconfig);
  printSteps(name, pause, steps);
  const isClear = steps.every(isDone);
  if (check) return isClear ? 0 : 1;
  if (!isClear && !force) {
    writeError(
      "Nothing was removed. Do what the first of these says, and run this again: docs/deploy.md#remove-everything",
    );
    return 1;
  }
  if (!yes && !(await confirm(`Remove stage ${name} with all of its records?`, "Nothing was removed"))) return wrongUse;
  const code = runSst(["remove", "--stage", name]);
  if (code === 0) printRest(stage, settings.AWS_REGION);
  else if (stage.newCluster) writeError(describeFailure(name));
  return code;
}

/** Returns the exit code instead if the arguments are a question or wrong. */
function readChoice() {
  try {
    const { help: asked, stage, ...choice } = parseArgs({ options }).values;
    if (asked) process.stdout.write(help);
    if (asked) return 0;
    if (stage !== undefined) return { ...choice, stage };
    process.stderr.write(`Name the stage with --stage\n\n${help}`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
  }
  return wrongUse;
}

function printSteps(name: string, pause: string, steps: readonly RemovalStep[]): void {
  const lines = [pause, `What is left of stage ${name}, in the order of its removal:`, ...formatSteps(steps)];
  for (const line of lines) process.stdout.write(`${printableText(line)}\n`);
}

/** Pulumi has its own protection, which is that of the last deployment. No step sees it. */
function describeFailure(name: string): string {
  return (
    "If SST says that a resource is protected, the last deployment had no EKS_PROTECT=0. A deployment ends the protection " +
    `even if it fails: npm run deploy -- --stage ${name}. Then run this again`
  );
}

/** EKS may write to the log group of a cluster that is being deleted, and so create it anew. */
function printRest({ newCluster, eksCluster }: Stage, region: string | undefined): void {
  if (!newCluster) return;
  writeError(
    "EKS may write the cluster's log once more, and a later stage of this name could not create it. In some minutes: " +
      `aws logs delete-log-group --log-group-name /aws/eks/${eksCluster}/cluster${region ? ` --region ${region}` : ""}`,
  );
}
